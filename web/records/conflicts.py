"""Who was faster: the person who changed a field last, for the choice between theirs and mine."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from bi.timeline import timeline
from policy.problems import Problem
from web.requests import PageRequest

LOOK_BACK = 20


def who_changed(request: PageRequest, kind: str, key: UUID, field: str) -> str:
    """Their name; empty while the change has not reached the read side or that gives no answer."""
    try:
        page = timeline(
            settings.HEADWATER_WAREHOUSE,
            settings.HEADWATER_LAKE,
            request.reader.principal,
            kind,
            key,
            limit=LOOK_BACK,
        )
    except Problem:
        return ""
    for change in page["changes"]:
        if change["object_id"] == str(key) and any(changed["field"] == field for changed in change["fields"]):
            return str(change["actor_name"] or "")
    return ""
