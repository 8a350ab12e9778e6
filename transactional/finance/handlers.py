"""What Finance does when Contacts speaks: its replica of the account follows, and nothing else.

An account that Contacts shows as On Hold is so because Finance said it; the replica takes the status over and no event
goes back.
"""

from __future__ import annotations

from transactional.contracts.events import AccountSnapshot
from transactional.finance.models import AccountProfile
from transactional.kernel.inbox import InboundEvent, replicates
from transactional.kernel.reconcile import Replica, declare


@replicates("ACCOUNT_CREATED", "ACCOUNT_UPDATED", consumer="finance.account_profile", model=AccountProfile)
def account_profile(event: InboundEvent) -> dict[str, object]:
    account = AccountSnapshot.model_validate(event.payload)
    return {
        "name": account.name,
        "account_type": account.account_type,
        "account_status": account.status,
        "billing_address": account.billing_address.model_dump() if account.billing_address else None,
        "currency": account.currency,
        "owner_id": account.owner_id,
        "team_id": account.team_id,
        "territory_id": account.territory_id,
    }


ACCOUNT_PROFILE = declare(
    Replica(
        consumer="finance.account_profile",
        model=AccountProfile,
        source="contacts.account",
        key="account_uuid",
        columns=account_profile,
        mend="finance.mend_account_profiles",
    )
)
