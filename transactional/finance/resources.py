"""What people read of an account's financial profile."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from transactional.contracts.types import Address
from transactional.finance.models import AccountProfile
from transactional.kernel.registry import Resource, resource


@resource(AccountProfile, path="account-profiles", filters=("on_credit_hold", "account_status", "payment_terms"))
class AccountProfileResource(Resource):
    """An account as Finance sees it: the replica of its master data and Finance's own terms."""

    account_uuid: UUID
    name: str
    account_type: str
    account_status: str
    billing_address: Address | None
    currency: str
    replica_version: int
    tax_id: str | None
    credit_limit: Decimal
    payment_terms: str
    balance_due: Decimal
    on_credit_hold: bool
    hold_reason: str | None
    hold_since: datetime | None
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
