"""Pages change things through commands alone: one call, whose position the reader's panels then wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transactional.kernel.calls import Answer, invoke
from web.positions import Positions
from web.requests import PageRequest

KEY_FIELD = "idempotency_key"
"""The hidden field that makes a form act once, however often it is sent."""
VERSION_FIELD = "version"
"""The hidden field with the version of the record that the person saw."""


def run(
    request: PageRequest,
    name: str,
    payload: Mapping[str, Any],
    *,
    version: int | None = None,
    reason: str | None = None,
    key: str | None = None,
) -> Answer:
    """Runs a command as the reader and remembers its position. Raises a kernel Problem.

    ``key`` is the form's unless given; ``version`` is what the reader saw (``If-Match``).
    """
    said = request.reader.ctx(
        idempotency_key=key or request.POST.get(KEY_FIELD) or None, expected_version=version, reason=reason or None
    )
    answer = invoke(name, payload, said)
    if answer.position is not None:
        request.written = written(request).and_(Positions.parse(answer.position))
    return answer


def written(request: PageRequest) -> Positions:
    """What this request's commands wrote, beside what the reader's earlier ones did."""
    known: Positions = getattr(request, "written", Positions())
    return known


def seen_version(request: PageRequest) -> int | None:
    """The version in the form; None where it has none or not a number (then nothing is compared)."""
    text = request.POST.get(VERSION_FIELD, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
