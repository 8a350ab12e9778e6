"""Timelines: who changed what and why, before → after, over a record and everything that belongs to it.

Read from the change log joined with the audit messages, newest first, a page at a time by keyset. The database shows a
change to whom it shows the changed row (``ops.changes_of``). Where the change log ends, the next place leads on into
the lake (``bi.archive``); opening that takes longer than a whole page from the change log, so no first page asks it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter

from bi.addresses import one_line
from bi.archive import ArchiveUnavailable, older, rank
from bi.fields import NAMED, field_of, in_words
from bi.names import names_of
from bi.reading import read
from policy.principal import Principal
from policy.problems import invalid

if TYPE_CHECKING:
    from warehouse.lake.place import Lake

log = logging.getLogger(__name__)

DEFAULT_LIMIT = 25
MAX_LIMIT = 100

_Name = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,200}$")]
_Lsn = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{1,8}/[0-9A-F]{1,8}$")]
_PLACE: TypeAdapter[tuple[datetime, str, int, str, str, dict[str, str]]] = TypeAdapter(
    tuple[AwareDatetime, _Lsn, Annotated[int, Field(ge=0, lt=2**31)], _Name, _Name, dict[_Name, _Name]]
)


@dataclass(frozen=True)
class Subject:
    """A kind of record with a timeline. ``rows`` is SQL that gives the keys of the rows that belong to record ``$2``;
    ``visible`` is the condition that the reader may see the record itself."""

    permission: str
    visible: str
    rows: str

    def statement(self) -> bytes:
        text = (resources.files(__package__) / "timeline.sql").read_text()
        return text.replace("{rows}", self.rows).replace("{subject}", self.visible).encode()


_ROWS_OF_ACCOUNT = """
    select jsonb_build_object('account_uuid', $2::uuid)
    union all
    select jsonb_build_object('id', contact.id) from raw_contacts.contact where contact.account_uuid = $2
    union all
    select jsonb_build_object('id', link.id) from raw_contacts.account_contact as link where link.account_uuid = $2
    union all
    select jsonb_build_object('id', sales_order.id) from raw_orders.sales_order where sales_order.account_uuid = $2
"""
_ROWS_OF_CONTACT = """
    select jsonb_build_object('id', $2::uuid)
    union all
    select jsonb_build_object('id', link.id) from raw_contacts.account_contact as link where link.contact_id = $2
"""
_ROWS_OF_ORDER = """
    select jsonb_build_object('id', $2::uuid)
    union all
    select jsonb_build_object('id', line.id) from raw_orders.sales_order_line as line where line.order_id = $2
"""
_ROWS_OF_PRODUCT = """
    select jsonb_build_object('id', $2::uuid)
    union all
    select jsonb_build_object('id', price.id) from raw_inventory.product_price as price where price.product_id = $2
"""

SUBJECTS: Mapping[str, Subject] = {
    "account": Subject(
        "contacts.account.read",
        "exists (select from staging.stg_contacts__account where account_uuid = $2)",
        _ROWS_OF_ACCOUNT,
    ),
    "contact": Subject(
        "contacts.contact.read",
        "exists (select from staging.stg_contacts__contact where contact_id = $2)",
        _ROWS_OF_CONTACT,
    ),
    "order": Subject(
        "orders.sales_order.read",
        "exists (select from staging.stg_orders__sales_order where order_id = $2)",
        _ROWS_OF_ORDER,
    ),
    "product": Subject(
        "inventory.product.read",
        "exists (select from staging.stg_inventory__product where product_id = $2)",
        _ROWS_OF_PRODUCT,
    ),
}
_STATEMENTS = {name: subject.statement() for name, subject in SUBJECTS.items()}


def timeline(
    dsn: str,
    lake: Callable[[], Lake],
    principal: Principal,
    kind: str,
    key: UUID,
    *,
    after: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """A page as ``bi.schema.Timeline`` describes it; ``after`` is the page before's ``next``.

    Raises Problem: 403, 404, 401 and 503 as ``bi.reading.read``, 422 for a place or a limit that makes no sense.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid("limit", "range", f"must be 1 to {MAX_LIMIT}")
    place = _place(after) if after else None
    found = read(
        dsn,
        principal,
        _STATEMENTS[kind],
        [key, *(_parameters(place) if place else [None] * 6), limit + 1],
        permission=SUBJECTS[kind].permission,
        key=key,
    )
    changes, reach = found["changes"], found["archive"]
    silent = False
    if place and reach and reach["beyond"]:
        try:
            changes = sorted((*changes, *older(lake, reach, place, limit + 1)), key=rank, reverse=True)
        except ArchiveUnavailable as error:
            log.warning("timelines go without what is older: %s", error)
            changes, silent = [], True
    page = changes[:limit]
    names = names_of(dsn, principal, _ids(page))
    following = None
    if silent:
        following = after
    elif len(changes) > limit:
        following = _token(page[-1])
    elif reach and not reach["beyond"]:
        following = _border(reach)
    return {
        "changes": [_entry(change, names) for change in page],
        "next": following,
        "since": _day_after(reach) if silent or (reach and not reach["beyond"] and len(changes) <= limit) else None,
        "archive_silent": silent,
        "watermark": found["watermark"],
    }


def _entry(change: Mapping[str, Any], names: Mapping[UUID, str]) -> dict[str, Any]:
    image = change["image"] or {}
    return {
        "at": change["at"],
        "object": change["object"],
        "object_id": next(iter(change["key"].values()), None),
        "title": _title(change["object"], image),
        "op": change["op"],
        "actor": change["actor"],
        "actor_name": _name_of_actor(change, names),
        "command": change["command"],
        "action": in_words(change["command"].rpartition(".")[2]) if change["command"] else None,
        "reason": change["reason"],
        "request_id": change["request_id"],
        "currency": image.get("currency"),
        "fields": [_field(change["object"], *difference, names) for difference in _differences(change)],
    }


def _name_of_actor(change: Mapping[str, Any], names: Mapping[UUID, str]) -> str | None:
    """What the directory calls them; for whoever is not in it (or for who may not read it) what the change says."""
    said: str | None = change["actor_name"]
    return names.get(UUID(change["actor"]), said) if change["actor"] else said


def _differences(change: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Column (or the name of a custom field), before, after. What is absent before and after is no difference."""
    for column, value in sorted((change["fields"] or {}).items()):
        if column in change["key"]:
            continue
        if column == "custom":
            old, new = (orjson.loads(value[side] or "{}") for side in ("before", "after"))
            for name in sorted(old.keys() | new.keys()):
                if old.get(name) != new.get(name):
                    yield name, _json_text(old.get(name)), _json_text(new.get(name))
        else:
            yield column, value["before"], value["after"]


def _field(
    object_type: str, column: str, before: str | None, after: str | None, names: Mapping[UUID, str]
) -> dict[str, Any]:
    field = field_of(object_type, column)

    def words(value: str | None) -> str | None:
        if value is None:
            return None
        if field.kind == "address":
            return one_line(orjson.loads(value))
        return names.get(UUID(value)) if field.kind in NAMED else None

    return {
        "field": column,
        "label": field.label,
        "kind": field.kind,
        "before": before,
        "after": after,
        "before_words": words(before),
        "after_words": words(after),
    }


def _title(object_type: str, image: Mapping[str, Any]) -> str | None:
    """What the changed row is called: a person's name, an order's number."""
    match object_type:
        case "contacts.contact":
            return " ".join(filter(None, (image.get("first_name"), image.get("last_name")))) or None
        case "contacts.account_contact":
            return image.get("role")
        case "orders.sales_order":
            return image.get("order_number")
        case "orders.sales_order_line":
            return image.get("product_name")
        case "inventory.product_price":
            return image.get("valid_from")
    return image.get("name")


def _ids(changes: list[dict[str, Any]]) -> Iterator[UUID]:
    for change in changes:
        if change["actor"]:
            yield UUID(change["actor"])
        for column, before, after in _differences(change):
            if field_of(change["object"], column).kind in NAMED:
                yield from (UUID(value) for value in (before, after) if value)


def _json_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _token(change: Mapping[str, Any]) -> str:
    place = [change[name] for name in ("at", "lsn", "seq", "source", "object", "key")]
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _border(reach: Mapping[str, Any]) -> str:
    """The place behind everything that was committed after the days that are in the lake alone."""
    at = datetime.fromisoformat(reach["border"]) + timedelta(microseconds=1)
    return _token({"at": at.isoformat(), "lsn": "0/0", "seq": 0, "source": "-", "object": "-", "key": {}})


def _day_after(reach: Mapping[str, Any]) -> str:
    return (date.fromisoformat(reach["last_day"]) + timedelta(days=1)).isoformat()


def _place(token: str) -> tuple[datetime, str, int, str, str, dict[str, str]]:
    """The last change of the page before. Raises Problem 422."""
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return _PLACE.validate_python(orjson.loads(content))
    except ValueError:
        raise invalid("after", "place", "is not the `next` of a page") from None


def _parameters(place: tuple[datetime, str, int, str, str, dict[str, str]]) -> list[Any]:
    *ordered, key = place
    return [*ordered, Jsonb(key)]
