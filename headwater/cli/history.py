"""``history``: every version of one row, from the change log and the lake."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headwater import config
from headwater.cli.errors import Refused
from headwater.cli.running import running

if TYPE_CHECKING:
    from warehouse.lake.history import Version

OPERATIONS = {"c": "created", "u": "changed", "d": "deleted", "t": "table emptied", "r": "read"}
EVERY_WRITE = frozenset({"version", "updated_at"})
"""Fields that every change touches: no news to a person."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    history_ = commands.add_parser("history", help="every version of one row: who changed what, when and why")
    history_.add_argument(
        "row", help="accounts/AC-000001, contacts/<id>, orders/SO-000001, products/<sku>, or <schema>.<table>/<key>"
    )
    history_.add_argument("--at", type=_time, metavar="TIME", help="the row as it was then (ISO 8601, UTC by default)")
    history_.add_argument("--json", action="store_true", help="for scripts, with every field")
    history_.set_defaults(run=history)


def history(given: argparse.Namespace) -> int:
    running()
    import psycopg

    from headwater.lake import lake
    from warehouse.lake import history as past

    settings = config.current()
    with psycopg.connect(settings.warehouse_url(), autocommit=True) as log:
        found = past.history(log, lake(settings), past.find(log, given.row))
    if not found.versions:
        raise Refused(f"nothing is known of {given.row}: no change of {found.row.key} ever landed.")
    if given.at is not None:
        if found.gone_since is not None and found.gone_since <= given.at:
            raise Refused(f"{given.row} was gone by then: {_gone(found.gone_since)}.")
        _print_state(given, found.at(given.at))
    elif given.json:
        print(json.dumps([_as_json(version) for version in found.versions], indent=2))
    else:
        print("\n".join(line for version in found.versions for line in _lines(version)))
        if found.gone_since is not None:
            print(_gone(found.gone_since))
    if found.missing:
        print(f"! {found.missing} What you see is what the change log of the last weeks holds.")
        return 3
    return 0


def _gone(since: datetime) -> str:
    moment = since.isoformat(timespec="milliseconds")
    return f"{moment}  gone: its key was changed, or a later reading of its whole table did not find it"


def _print_state(given: argparse.Namespace, version: Version | None) -> None:
    moment = given.at.isoformat()
    if version is None:
        raise Refused(f"{given.row} was not known yet at {moment}.")
    if given.json:
        print(json.dumps(_as_json(version), indent=2))
        return
    if version.state is None:
        raise Refused(f"{given.row} was deleted at {version.change.committed_at.isoformat()}, before {moment}.")
    print(f"{given.row} at {moment}, as of {_headline(version)}")
    width = max(len(name) for name in version.state)
    for name, value in sorted(version.state.items()):
        print(f"  {name:<{width}}  {_shown(value)}")


def _lines(version: Version) -> list[str]:
    fields = {name: pair for name, pair in version.fields.items() if name not in EVERY_WRITE}
    if version.change.op in "cr":
        fields = {name: pair for name, pair in fields.items() if pair[1] is not None}
    if version.state is None:
        fields = {}
    return [
        _headline(version),
        *(f"    {name}: {_shown(before)} → {_shown(after)}" for name, (before, after) in sorted(fields.items())),
    ]


def _headline(version: Version) -> str:
    found = version.change
    who = found.actor_name or "unattributed"
    how = f" by {found.command}" if found.command else ""
    why = f" ({found.reason})" if found.reason else ""
    return f"{found.committed_at.isoformat(timespec='milliseconds')}  {OPERATIONS[found.op]}  {who}{how}{why}"


def _shown(value: Any) -> str:
    return "–" if value is None else str(value)


def _as_json(version: Version) -> dict[str, Any]:
    found = version.change
    return {
        "committed_at": found.committed_at.isoformat(),
        "operation": OPERATIONS[found.op],
        "actor": found.actor,
        "actor_name": found.actor_name,
        "command": found.command,
        "request_id": found.request_id,
        "reason": found.reason,
        "fields": {name: {"before": before, "after": after} for name, (before, after) in version.fields.items()},
        "state": version.state,
    }


def _time(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2026-05-01 or 2026-05-01T12:30:00+02:00"
        ) from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
