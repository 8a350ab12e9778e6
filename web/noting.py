"""Access that changes no row of a service, so that no change tells of it: noted in an access log."""

from __future__ import annotations

import logging
from typing import Literal

from django.conf import settings

from transactional.kernel.audit import note_access
from transactional.kernel.calls import post
from transactional.kernel.problems import Problem
from web.session import Reader

log = logging.getLogger(__name__)


def note(
    reader: Reader,
    kind: Literal["read", "export", "replay", "refused"],
    permission: str,
    *,
    service: str,
    resource: str,
    resource_id: str | None = None,
    detail: str,
) -> None:
    """Appends to the access log of the service where this process hosts it, else to Identity's by its API.

    Where nobody can write it the answer stands all the same, and the process's log has what should stand there.
    """
    detail, resource = detail[:1000], resource[:60]
    resource_id = resource_id and resource_id[:400]
    ctx = reader.ctx()
    if service in settings.HEADWATER_SERVICES:
        note_access(
            service,
            kind,
            reader.principal,
            permission,
            resource=resource,
            resource_id=resource_id,
            ctx=ctx,
            detail=detail,
        )
        return
    said = {
        "kind": kind,
        "action": permission,
        "resource": resource,
        "resource_id": resource_id,
        "detail": detail,
    }
    try:
        post("identity", "/api/identity/notes", said, ctx)
    except Problem:
        log.exception("The access log was not told: %s %s %s by %s", kind, resource, resource_id, reader.principal.name)
