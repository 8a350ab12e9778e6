"""What Orders does when Contacts and Inventory speak: its replicas follow."""

from __future__ import annotations

from transactional.contracts.events import AccountSnapshot, ProductSnapshot
from transactional.contracts.types import Address
from transactional.kernel.inbox import InboundEvent, replicates
from transactional.kernel.reconcile import Replica, declare
from transactional.orders.models import AccountProfile, ProductReplica


@replicates("ACCOUNT_CREATED", "ACCOUNT_UPDATED", consumer="orders.account_profile", model=AccountProfile)
def account_profile(event: InboundEvent) -> dict[str, object]:
    account = AccountSnapshot.model_validate(event.payload)
    return {
        "name": account.name,
        "account_type": account.account_type,
        "account_status": account.status,
        "billing_address": _as_json(account.billing_address),
        "shipping_address": _as_json(account.shipping_address),
        "owner_id": account.owner_id,
        "team_id": account.team_id,
        "territory_id": account.territory_id,
    }


@replicates("PRODUCT_CREATED", "PRODUCT_UPDATED", consumer="orders.product_replica", model=ProductReplica)
def product_replica(event: InboundEvent) -> dict[str, object]:
    product = ProductSnapshot.model_validate(event.payload)
    return {
        "sku": product.sku,
        "name": product.name,
        "is_active": product.is_active,
        "list_price": product.list_price,
        "currency": product.currency,
    }


def _as_json(address: Address | None) -> dict[str, str | None] | None:
    return None if address is None else address.model_dump()


ACCOUNT_PROFILE = declare(
    Replica(
        consumer="orders.account_profile",
        model=AccountProfile,
        source="contacts.account",
        key="account_uuid",
        columns=account_profile,
        mend="orders.mend_account_profiles",
    )
)
PRODUCT_REPLICA = declare(
    Replica(
        consumer="orders.product_replica",
        model=ProductReplica,
        source="inventory.product",
        key="id",
        columns=product_replica,
        mend="orders.mend_product_replicas",
    )
)
