"""Who did what: the message at the head of a command's transaction, and the log of what leaves no change."""

from __future__ import annotations

import logging
from contextvars import ContextVar

import orjson
from django.db import connections
from django.db.utils import Error as DatabaseError

from policy.principal import Principal
from transactional.kernel import observing
from transactional.kernel.context import Context
from transactional.kernel.models import AccessLog

PREFIX = "headwater.audit"
log = logging.getLogger(__name__)
_announced: ContextVar[str | None] = ContextVar("announced", default=None)


def announce(ctx: Context) -> None:
    """Writes the audit message into the WAL of the current transaction; the changes after it are attributed to it."""
    record = {
        "actor": ctx.actor.user_id,
        "actor_name": ctx.actor.name,
        "on_behalf_of": ctx.actor.on_behalf_of,
        "command": ctx.name,
        "request_id": ctx.request_id,
        "idempotency_key": ctx.idempotency_key,
        "reason": ctx.reason,
        "service": ctx.service,
    }
    if traceparent := observing.carried():
        record["traceparent"] = traceparent
    with connections[ctx.service].cursor() as cursor:
        cursor.execute("select pg_logical_emit_message(true, %s, %s)", [PREFIX, orjson.dumps(record).decode()])
    _announced.set(ctx.name)


def announce_once(ctx: Context) -> None:
    """As ``announce``, unless the last message of this transaction says the same."""
    if _announced.get() != ctx.name:
        announce(ctx)


def nothing_announced() -> None:
    """Forgets the last message: a transaction begins, or a part of one was rolled back and its messages with it."""
    _announced.set(None)


def note_access(
    service: str,
    kind: str,
    actor: Principal | None,
    action: str,
    *,
    actor_name: str = "",
    resource: str | None = None,
    resource_id: object = None,
    ctx: Context | None = None,
    detail: str | None = None,
) -> None:
    """Appends to the service's access log, outside of any refused transaction.

    ``kind``: ``refused``, ``login``, ``login_failed``, ``logout``, ``read``, ``export``. If the row cannot be written
    the caller's answer stands all the same; the failure goes to the process's log.
    """
    try:
        AccessLog.objects.using(service).create(
            kind=kind,
            actor_id=actor.user_id if actor else None,
            actor_name=actor.name if actor else actor_name,
            on_behalf_of=actor.on_behalf_of if actor else None,
            action=action,
            resource=resource,
            resource_id=None if resource_id is None else str(resource_id),
            request_id=ctx.request_id if ctx else None,
            detail=detail,
        )
    except DatabaseError:
        log.exception("The access log of %s could not be written: %s %s by %s", service, kind, action, actor)
