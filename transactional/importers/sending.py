"""Rows to a bulk command, and again those that come before what they name has arrived."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from transactional.kernel.calls import execute, invoke
from transactional.kernel.context import Context

RETRY_AFTER = 0.5
"""Seconds between two tries of rows that name something which the service does not know yet."""


class ReplicasStuck(Exception):
    """A service does not get to know what the import has created elsewhere; what was written until then stays."""


def submit(
    command: str, rows: Sequence[dict[str, Any]], ctx: Context, *, patience: float = 0.0
) -> list[dict[str, Any]]:
    """The verdict on each row, in order.

    With ``patience``, rows refused because they name something unknown are tried again until that many seconds have
    passed in which not one of them was accepted; then ReplicasStuck.
    """
    verdicts: list[dict[str, Any]] = [{} for _ in rows]
    call = execute if ctx.rehearsal else invoke  # a rehearsal must not reach a process that knows of none
    waiting = list(range(len(rows)))
    quiet_since = time.monotonic()
    while waiting:
        answer = call(command, {"rows": [rows[place] for place in waiting]}, ctx).data["verdicts"]
        late = []
        for place, verdict in zip(waiting, answer, strict=True):
            verdicts[place] = verdict
            if patience and verdict["status"] == "rejected" and _is_late(verdict):
                late.append(place)
        if late and len(late) < len(waiting):
            quiet_since = time.monotonic()
        elif late and time.monotonic() - quiet_since > patience:
            raise ReplicasStuck(
                f"{command} refuses {len(late)} rows, the first because: {reason(verdicts[late[0]])} What it names "
                f"was created, and has not arrived there in {patience:.0f} s. See with `headwater status` whether "
                "dispatch and jobs run, then import again: what was written stays."
            )
        waiting = late
        if waiting:
            time.sleep(RETRY_AFTER)
    return verdicts


def _is_late(verdict: dict[str, Any]) -> bool:
    """Refused for nothing but things that the service does not know (yet)."""
    return all(error["code"] == "unknown" for error in verdict["errors"])


def field_of(error: dict[str, Any], verdict: dict[str, Any]) -> str:
    """The field of the row that an error is about, as the command calls it; empty for the row as a whole."""
    prefix = f"rows.{verdict['index']}"
    name: str = error["field"].removeprefix(prefix).removeprefix(".").removeprefix("data").removeprefix(".")
    return name


def reason(verdict: dict[str, Any]) -> str:
    """What a person reads of a refused row: each field that is wrong, and why."""
    told = []
    for error in verdict["errors"]:
        name = field_of(error, verdict)
        told.append(f"{name}: {error['message']}" if name else error["message"])
    return "; ".join(told)
