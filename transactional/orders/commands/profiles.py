"""What Orders itself knows about an account: how to ship to it, whether to tax it."""

from __future__ import annotations

from uuid import UUID

from transactional.contracts.base import Command
from transactional.contracts.types import Text
from transactional.kernel.context import Context
from transactional.kernel.registry import command
from transactional.orders.models import AccountProfile


class SetDefaultShippingMethod(Command):
    """Set how orders of the account are shipped unless they say otherwise; null: no preference."""

    account_uuid: UUID
    default_shipping_method: Text | None


@command(SetDefaultShippingMethod, resource="orders.account_profile", target="account_uuid")
def set_default_shipping_method(ctx: Context, cmd: SetDefaultShippingMethod) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    profile.change(default_shipping_method=cmd.default_shipping_method)
    return profile


class SetTaxable(Command):
    """Say whether sales tax applies to the account's orders."""

    account_uuid: UUID
    is_taxable: bool


@command(SetTaxable, resource="orders.account_profile", target="account_uuid")
def set_taxable(ctx: Context, cmd: SetTaxable) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    profile.change(is_taxable=cmd.is_taxable)
    return profile
