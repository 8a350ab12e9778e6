"""What Finance decides about an account: its limit, terms and tax number, and whether it is on credit hold."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from transactional.contracts.base import Command
from transactional.contracts.events import AccountStatusChanged
from transactional.contracts.types import NonNegativeAmount
from transactional.finance.handlers import ACCOUNT_PROFILE
from transactional.finance.models import AccountProfile
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict
from transactional.kernel.reconcile import Mended, MendReplica, mend
from transactional.kernel.registry import command

PaymentTerms = Annotated[str, StringConstraints(pattern=r"^(Net [1-9][0-9]{0,2}|Due on receipt|Prepaid)$")]
TaxId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=40)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class SetCreditLimit(Command):
    """Set how much the account may owe, in the account's currency."""

    account_uuid: UUID
    credit_limit: NonNegativeAmount


@command(SetCreditLimit, resource="finance.account_profile", target="account_uuid")
def set_credit_limit(ctx: Context, cmd: SetCreditLimit) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    profile.change(credit_limit=cmd.credit_limit)
    return profile


class SetPaymentTerms(Command):
    """Set when invoices fall due: *Net* and a number of days, *Due on receipt*, or *Prepaid*."""

    account_uuid: UUID
    payment_terms: PaymentTerms


@command(SetPaymentTerms, resource="finance.account_profile", target="account_uuid")
def set_payment_terms(ctx: Context, cmd: SetPaymentTerms) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    profile.change(payment_terms=cmd.payment_terms)
    return profile


class SetTaxId(Command):
    """Set the legal identifier for invoices, or (null) remove it."""

    account_uuid: UUID
    tax_id: TaxId | None


@command(SetTaxId, resource="finance.account_profile", target="account_uuid")
def set_tax_id(ctx: Context, cmd: SetTaxId) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    profile.change(tax_id=cmd.tax_id)
    return profile


class PlaceOnCreditHold(Command):
    """Stop business with an account: Contacts shows it as On Hold and Orders confirms nothing for it."""

    account_uuid: UUID
    reason: Reason


@command(
    PlaceOnCreditHold,
    resource="finance.account_profile",
    target="account_uuid",
    available=lambda profile: not profile.on_credit_hold,
)
def place_on_credit_hold(ctx: Context, cmd: PlaceOnCreditHold) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    if profile.on_credit_hold:
        raise Conflict(
            f"Account {profile.pk} is on credit hold since {profile.hold_since:%Y-%m-%d}: {profile.hold_reason}",
            code="already_on_hold",
        )
    profile.change(on_credit_hold=True, hold_reason=cmd.reason, hold_since=ctx.now)
    ctx.emit(_status_changed(profile))
    return profile


class ReleaseCreditHold(Command):
    """Take an account off credit hold; its status in Contacts becomes what it was before."""

    account_uuid: UUID


@command(
    ReleaseCreditHold,
    resource="finance.account_profile",
    target="account_uuid",
    available=lambda profile: profile.on_credit_hold,
)
def release_credit_hold(ctx: Context, cmd: ReleaseCreditHold) -> AccountProfile:
    profile = AccountProfile.objects.for_update(ctx, cmd.account_uuid)
    if not profile.on_credit_hold:
        raise Conflict(f"Account {profile.pk} is not on credit hold.", code="not_on_hold")
    profile.change(on_credit_hold=False, hold_reason=None, hold_since=None)
    ctx.emit(_status_changed(profile))
    return profile


def _status_changed(profile: AccountProfile) -> AccountStatusChanged:
    return AccountStatusChanged(
        account_uuid=profile.account_uuid, on_hold=profile.on_credit_hold, reason=profile.hold_reason
    ).about(profile.pk, profile.version)


@command(
    MendReplica,
    resource="finance.account_profile",
    verb="mend",
    permission="stream.finance.mend_account_profiles",
)
def mend_account_profiles(ctx: Context, cmd: MendReplica) -> Mended:
    return mend(ACCOUNT_PROFILE, cmd)
