"""Every fail-point there is, read from the source, so that a new one cannot be forgotten."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("cdc", "pipelines", "transactional", "headwater", "bi", "search")
_REACH = re.compile(r"""\b_?reach\(\s*["']([a-z_.]+)["']""")

AT_START = ("supervisor.before_clusters", "supervisor.before_workers", "supervisor.running")
"""Passed each time a supervisor starts."""

AT_PREPARATION = ("supervisor.before_prepare", "supervisor.after_prepare")
"""Passed when a start prepares the databases: at the first one, and after an upgrade."""

AT_STOP = ("supervisor.stopping",)

ELSEWHERE = re.compile(
    r"^(backup|erase|restore|rebuild|ddl|repair|snapshot|spool|timers|migrate|split|handover|group|search\.build)\.|\.repair_"
    r"|^jobs\.failed$"
    r"|^lake\.(before_merge|after_merge|after_expire|before_drop|after_drop)$"
)
"""Passed only while something is backed up, first read, altered, repaired, rebuilt, erased, moved to Kafka or to a
database of its own, dealt out anew, enormous or refused, or once a day."""


def all_points() -> set[str]:
    found = set()
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*.py"):
            found |= set(_REACH.findall(path.read_text()))
    return found


def under_load() -> list[str]:
    """Points that ordinary work passes."""
    special = {*AT_START, *AT_PREPARATION, *AT_STOP}
    return sorted(point for point in all_points() - special if not ELSEWHERE.search(point))


def killed_at_by_tests_beside() -> set[str]:
    """Points in the ``FAILPOINTS`` that the tests of a room are parametrised with."""
    listed = set()
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*.py"):
            for body in re.findall(r"^FAILPOINTS\b[^=]*= \((.*?)\)", path.read_text(), re.DOTALL | re.MULTILINE):
                listed |= set(re.findall(r"[\"']([a-z_]+(?:\.[a-z_]+)+)[\"']", body))
    return listed
