"""Idempotency keys: the same key and request get the stored answer, in whatever process and however often."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connections

from transactional.kernel.base import now
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid, KeyReused

NIL = UUID(int=0)
MAX_LENGTH = 200
KEPT = timedelta(days=7)
"""How long an answer can be had again: far longer than any client tries."""
SWEEP_EVERY = 500
"""One in so many keyed commands deletes keys that are too old, so that no process needs to."""
SWEEP_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Stored:
    status: int
    version: int | None
    body: bytes


def digest(name: str, body: bytes) -> bytes:
    """What must be equal for two requests to be the same."""
    return hashlib.sha256(name.encode() + b"\0" + body).digest()


def check(key: str) -> None:
    if not 1 <= len(key) <= MAX_LENGTH or not key.isprintable():
        raise Invalid("Idempotency-Key", "length", f"must be 1 to {MAX_LENGTH} printable characters")


def sweep(service: str) -> int:
    """Deletes some of the answers older than ``KEPT``; how many."""
    with connections[service].cursor() as cursor:
        cursor.execute(
            "delete from idempotency_key where (actor_id, key) in (select actor_id, key from idempotency_key"
            " where created_at < %s order by created_at limit %s for update skip locked)",
            [now() - KEPT, SWEEP_ROWS],
        )
        return int(cursor.rowcount)


def claim(ctx: Context, request_hash: bytes) -> Stored | None:
    """Takes the context's key in the current transaction, or returns the answer stored under it.

    A concurrent duplicate waits here, on the first one's row, until that commits (and gets its answer) or fails (and
    takes the key itself). Raises KeyReused if the key belongs to another request.
    """
    owner = (ctx.actor.user_id or NIL, ctx.idempotency_key)
    with connections[ctx.service].cursor() as cursor:
        cursor.execute(
            "insert into idempotency_key (actor_id, key, request_hash, command, created_at)"
            " values (%s, %s, %s, %s, now()) on conflict do nothing",
            [*owner, request_hash, ctx.name],
        )
        if cursor.rowcount == 1:
            if random.randrange(SWEEP_EVERY) == 0:
                sweep(ctx.service)
            return None
        cursor.execute(
            "select request_hash, status, version, body, command from idempotency_key where actor_id = %s and key = %s",
            owner,
        )
        known_hash, status, version, body, command = cursor.fetchone()
    if bytes(known_hash) != request_hash:
        raise KeyReused(f"Key {ctx.idempotency_key!r} was used for another request ({command}); choose a new key.")
    return Stored(status, version, bytes(body))


def store(ctx: Context, answer: Stored) -> None:
    """Keeps the answer under the claimed key, in the command's transaction."""
    with connections[ctx.service].cursor() as cursor:
        cursor.execute(
            "update idempotency_key set status = %s, version = %s, body = %s where actor_id = %s and key = %s",
            [answer.status, answer.version, answer.body, ctx.actor.user_id or NIL, ctx.idempotency_key],
        )
