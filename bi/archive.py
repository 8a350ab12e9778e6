"""The older part of a timeline: changes of days that the change log has given up, from the lake.

Files know no row security. So the warehouse says first which rows the reader may see, and only those are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from warehouse.lake.place import Lake
    from warehouse.lake.read import Change, Place

COUNTED: Final = frozenset(("version", "replica_version", "hold_version", "created_at", "updated_at"))
"""Columns that every write touches, which are no news (``ops.changed_fields``)."""


class ArchiveUnavailable(Exception):
    """The lake gives no answer."""


def older(
    opened: Callable[[], Lake], reach: Mapping[str, Any], place: Sequence[Any], limit: int
) -> list[dict[str, Any]]:
    """The newest changes after a place that only the lake holds, in the shape of ``timeline.sql``; at most ``limit``.

    ``reach`` is what the statement says of the archive, the rows that the reader may see among it; ``place`` the last
    change of the page before, as in the page's token. Raises ArchiveUnavailable.
    """
    from warehouse.lake.errors import LakeError

    of: dict[tuple[str, str], list[str]] = {}
    for row in reach["rows"]:
        of.setdefault((row["schema_name"], row["table_name"]), []).append(_jsonb(row["key"]))
    try:
        with opened().open() as session:
            session.execute("begin")  # one snapshot for all of the page
            return _news(session, of, reach, _place(place), limit)
    except LakeError as error:
        raise ArchiveUnavailable(str(error)) from error


def _news(
    session: Any, of: Mapping[tuple[str, str], Sequence[str]], reach: Mapping[str, Any], after: Place, limit: int
) -> list[dict[str, Any]]:
    """Asks again for as long as what was found is no news."""
    from warehouse.lake.read import newest

    told: list[dict[str, Any]] = []
    while len(told) < limit:
        found = newest(
            session,
            of,
            until=date.fromisoformat(reach["last_day"]),
            without=[date.fromisoformat(day) for day in reach["kept_days"]],
            after=after,
            limit=limit,
        )
        told += _told(found)
        if len(found) < limit:
            break
        after = _place_of(found[-1])
    return told[:limit]


def _told(found: Sequence[Change]) -> Iterator[dict[str, Any]]:
    for change in found:
        fields = changed_fields(change.before, change.after)
        if change.op == "u" and fields is None:
            continue
        if change.op == "r" and (change.lsn or change.epoch != 1):
            continue
        yield {
            "at": change.committed_at.astimezone(UTC).isoformat(),
            "lsn": f"{change.lsn >> 32:X}/{change.lsn & 0xFFFFFFFF:X}",
            "seq": change.seq,
            "source": change.source,
            "object": f"{change.schema}.{change.table}",
            "key": change.key,
            "op": change.op,
            "image": change.after or change.before,
            "fields": None if change.op == "r" else fields,
            "actor": change.actor,
            "actor_name": change.actor_name,
            "command": change.command,
            "reason": change.reason,
            "request_id": change.request_id,
        }


def changed_fields(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``ops.changed_fields`` for images that are not in the database; a test holds the two together."""
    old = before or {}
    return {
        name: {"before": old.get(name), "after": value}
        for name, value in (after or {}).items()
        if value != old.get(name) and name not in COUNTED
    } or None


def rank(change: Mapping[str, Any]) -> tuple[Any, ...]:
    """Orders changes as the statement does, the newest last."""
    at = datetime.fromisoformat(change["at"])
    return at, _number(change["lsn"]), change["seq"], change["source"], change["object"], _jsonb(change["key"])


def _place(place: Sequence[Any]) -> Place:
    from warehouse.lake.read import Place

    at, lsn, seq, source, table, key = place
    return Place(at, _number(lsn), seq, source, table, _jsonb(key))


def _place_of(change: Change) -> Place:
    from warehouse.lake.read import Place

    table = f"{change.schema}.{change.table}"
    return Place(change.committed_at, change.lsn, change.seq, change.source, table, _jsonb(change.key))


def _number(lsn: str) -> int:
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def _jsonb(key: Mapping[str, str]) -> str:
    """jsonb's own text: keys by length and then by bytes, a space after colon and comma."""
    parts = sorted(key.items(), key=lambda part: (len(part[0].encode()), part[0].encode()))
    return "{" + ", ".join(f"{_text(name)}: {_text(value)}" for name, value in parts) + "}"


def _text(value: str) -> str:
    return orjson.dumps(value).decode()
