"""Reactions of the sample service: a replica, and a command of its own."""

from __future__ import annotations

from uuid import UUID

from tests.transactional.kernel.shelf.models import AccountReplica
from transactional.kernel.inbox import InboundEvent, handles, replicates, run_command_for_event


@replicates("ACCOUNT_SEEN", consumer="shelf.account_replica", model=AccountReplica)
def account_replica(event: InboundEvent) -> dict[str, object]:
    if event.payload["name"] == "poison":
        raise ValueError("cannot read this one")
    return {"name": event.payload["name"], "address": event.payload.get("address")}


@handles("BOOK_WANTED", consumer="shelf.wanted")
def wanted(event: InboundEvent) -> None:
    run_command_for_event(
        event, "shelf.update_book", {"id": UUID(event.payload["book"]), "title": event.payload["title"]}
    )
