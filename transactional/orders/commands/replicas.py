"""Putting replicas right that drifted from their masters; asked for by ``reconcile`` alone."""

from __future__ import annotations

from transactional.kernel.context import Context
from transactional.kernel.reconcile import Mended, MendReplica, mend
from transactional.kernel.registry import command
from transactional.orders.handlers import ACCOUNT_PROFILE, PRODUCT_REPLICA


@command(MendReplica, resource="orders.account_profile", verb="mend", permission="stream.orders.mend_account_profiles")
def mend_account_profiles(ctx: Context, cmd: MendReplica) -> Mended:
    return mend(ACCOUNT_PROFILE, cmd)


@command(MendReplica, resource="orders.product_replica", verb="mend", permission="stream.orders.mend_product_replicas")
def mend_product_replicas(ctx: Context, cmd: MendReplica) -> Mended:
    return mend(PRODUCT_REPLICA, cmd)
