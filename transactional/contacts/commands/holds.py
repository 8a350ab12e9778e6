"""Credit holds as Finance decides them: the stream's own command, and nobody else's."""

from __future__ import annotations

from uuid import UUID

from transactional.contacts.models import ON_HOLD, Account
from transactional.contracts.base import Command
from transactional.contracts.events import AccountUpdated
from transactional.kernel.context import Context
from transactional.kernel.problems import Forbidden
from transactional.kernel.registry import command


class SetHold(Command):
    """Follow Finance's credit hold. Release brings back the status from before.

    ``hold_version`` is the version of Finance's profile that said so; one that is not newer than the last is ignored.
    """

    account_uuid: UUID
    on_hold: bool
    hold_version: int


@command(
    SetHold,
    resource="contacts.account",
    target="account_uuid",
    permission="stream.contacts.set_hold",
    available=lambda account: False,
)
def set_hold(ctx: Context, cmd: SetHold) -> Account:
    if ctx.causation_id is None:
        raise Forbidden("Only an event of Finance's sets or clears On Hold: place or release the hold there.")
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    if cmd.hold_version <= account.hold_version:
        return account
    changes: dict[str, object] = {"hold_version": cmd.hold_version}
    if cmd.on_hold and account.status != ON_HOLD:
        changes |= {"status": ON_HOLD, "status_before_hold": account.status}
    elif not cmd.on_hold and account.status == ON_HOLD:
        changes |= {"status": account.status_before_hold, "status_before_hold": None}
    account.change(**changes)
    ctx.emit(AccountUpdated.of(account))
    return account
