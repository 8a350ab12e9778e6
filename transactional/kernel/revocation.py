"""Tokens that are no longer good before their time: replicated from identity by stream, checked without asking it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from policy.principal import Principal
from policy.tokens import LIFETIME_SECONDS
from transactional.contracts.events import UserChanged
from transactional.kernel.inbox import Handler, InboundEvent, add_handler
from transactional.kernel.models import Revocation

CACHED_SECONDS = 2.0
"""How long a process may go without looking: what revoking adds to the stream's own delay."""

_lock = threading.Lock()
_known: dict[str, tuple[float, dict[UUID, int]]] = {}


def subscribe(service: str) -> None:
    """Lets the service follow USER_CHANGED."""
    add_handler(Handler(f"{service}.revocation", service, (UserChanged.type,), replicate=_columns, model=Revocation))


def is_revoked(service: str, principal: Principal) -> bool:
    """Whether the token was issued before its user's rights changed, as far as this service has heard."""
    if principal.user_id is None:
        return False
    return principal.issued_at < _recent(service).get(principal.user_id, 0)


def _columns(event: InboundEvent) -> Mapping[str, Any]:
    return {"tokens_valid_from": UserChanged.model_validate(event.payload).tokens_valid_from}


def _recent(service: str) -> dict[UUID, int]:
    """Revocations that can still concern a live token, read at most every ``CACHED_SECONDS``."""
    read_at, found = _known.get(service, (0.0, {}))
    if time.monotonic() - read_at < CACHED_SECONDS and read_at:
        return found
    with _lock:
        horizon = int(time.time()) - 2 * LIFETIME_SECONDS
        rows = Revocation.objects.using(service).filter(tokens_valid_from__gt=horizon)
        found = dict(rows.values_list("user_id", "tokens_valid_from"))
        _known[service] = (time.monotonic(), found)
    return found
