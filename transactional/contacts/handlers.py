"""What Contacts does when other services speak: Finance's credit holds decide whether an account is On Hold."""

from __future__ import annotations

from transactional.contracts.events import AccountStatusChanged
from transactional.kernel.inbox import InboundEvent, handles, run_command_for_event


@handles("ACCOUNT_STATUS_CHANGED", consumer="contacts.account_status")
def account_status(event: InboundEvent) -> None:
    change = AccountStatusChanged.model_validate(event.payload)
    run_command_for_event(
        event,
        "contacts.set_hold",
        {
            "account_uuid": change.account_uuid,
            "on_hold": change.on_hold,
            "hold_version": event.aggregate_version,
        },
    )
