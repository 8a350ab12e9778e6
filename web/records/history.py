"""Timelines as people read them: who did what, to which of the record's parts, each field before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

from django.conf import settings

from bi.timeline import timeline
from web import formats
from web.addresses import record as page_of
from web.requests import PageRequest

NOUNS = {
    "contacts.account": "account",
    "contacts.contact": "contact",
    "contacts.account_contact": "role",
    "finance.account_profile": "credit and terms",
    "orders.sales_order": "order",
    "orders.sales_order_line": "line",
    "inventory.product": "product",
    "inventory.product_price": "price",
    "inventory.product_category": "category",
}
VERBS = {"c": "Created", "u": "Changed", "d": "Removed", "t": "Removed", "r": "Known since the stream began:"}
SYSTEM = frozenset({"stream", "timer"})
"""Names under which the system itself acts."""
PAGE = 50
"""Changes that the panel asks for at a time; one request's are one entry."""
NAMED = 6
"""So many new things of one kind are named."""
FEW = 4
"""So many fields of a new thing are shown at once; more fold away."""


@dataclass(frozen=True)
class Change:
    """One row's change: ``title`` and ``url`` say which, where it is not the page's own record."""

    verb: str
    noun: str
    title: str
    url: str
    fields: list[dict[str, str]]
    folded: bool

    @property
    def told(self) -> bool:
        """Whether more is to be said than which fields changed."""
        return bool(self.title) or self.verb != VERBS["u"]


@dataclass(frozen=True)
class Made:
    """Several new things of one kind, by their titles and addresses; ``rest`` counts those that are not named."""

    noun: str
    count: int
    named: list[Change]
    rest: int


@dataclass(frozen=True)
class Entry:
    """What one request did. ``person`` is empty where nobody stands behind it."""

    at: str
    person: str
    system: bool
    action: str
    reason: str
    changes: list[Change]
    made: list[Made]

    @property
    def alone(self) -> Change | None:
        """The only change, which then needs no sentence of its own beside the action."""
        return self.changes[0] if len(self.changes) == 1 and not self.made and self.action else None

    @property
    def initial(self) -> str:
        return self.person[:1].upper() or "·"


def history(request: PageRequest, kind: str, key: UUID) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """What the timeline panel shows of a record, and its watermark; ``?after=`` asks for the next page."""
    page = timeline(
        settings.HEADWATER_WAREHOUSE,
        settings.HEADWATER_LAKE,
        request.reader.principal,
        kind,
        key,
        after=request.GET.get("after") or None,
        limit=PAGE,
    )
    told = {name: page[name] for name in ("next", "since", "archive_silent")}
    older = "after" in request.GET
    return told | {"entries": list(entries(page["changes"], key)), "older": older}, page["watermark"]


def entries(changes: Iterable[Mapping[str, Any]], key: UUID) -> Iterator[Entry]:
    """Consecutive changes of one request are one entry."""

    def by_request(change: Mapping[str, Any]) -> tuple[Any, ...]:
        return change["request_id"], change["actor_name"], change["at"] if change["request_id"] is None else None

    for _, group in groupby(changes, by_request):
        found = list(group)
        said = found[0]
        name = str(said["actor_name"] or "")
        changed, made = _gathered([_change(change, key) for change in found])
        yield Entry(
            at=said["at"],
            person="" if name in SYSTEM else name,
            system=name in SYSTEM,
            action="" if name in SYSTEM else str(said["action"] or ""),
            reason=str(said["reason"] or ""),
            changes=changed,
            made=made,
        )


def _gathered(changes: list[Change]) -> tuple[list[Change], list[Made]]:
    """New things of one kind are told in one sentence where there are several."""
    kinds = Counter(change.noun for change in changes if change.verb == VERBS["c"])
    several = {noun for noun, count in kinds.items() if count > 1}
    made = []
    for noun in several:
        new = [change for change in changes if change.noun == noun and change.verb == VERBS["c"]]
        made.append(Made(noun, len(new), new[:NAMED], max(0, len(new) - NAMED)))
    left = [change for change in changes if change.verb != VERBS["c"] or change.noun not in several]
    return left, sorted(made, key=lambda found: found.noun)


def _change(change: Mapping[str, Any], key: UUID) -> Change:
    own = change["object_id"] == str(key)
    fields = [] if change["op"] == "d" else [_field(found, change) for found in change["fields"]]
    return Change(
        verb=VERBS[change["op"]],
        noun=NOUNS.get(change["object"], "record"),
        title="" if own else _title(change),
        url="" if own or not change["object_id"] else page_of(change["object"], change["object_id"]),
        fields=fields,
        folded=change["op"] == "c" and len(fields) > FEW,
    )


def _title(change: Mapping[str, Any]) -> str:
    title = str(change["title"] or "")
    return f"from {formats.day(title)}" if change["object"] == "inventory.product_price" and title else title


def _field(found: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, str]:
    def words(side: str) -> str:
        value = found[side]
        return shown(found["kind"], value, found[f"{side}_words"], str(change["currency"] or "")) if value else ""

    return {"label": found["label"], "before": words("before"), "after": words("after")}


def shown(kind: str, value: str, words: str | None, currency: str) -> str:
    """A value of the change log for people to read."""
    match kind:
        case "text" | "address":
            return words or value
        case "amount":
            number = Decimal(value)
            exact = formats.money(value, currency) if number == round(number, 2) else formats.number(value)
            return f"{exact} {currency}".strip()
        case "number":
            return formats.number(value)
        case "rate":
            return formats.share(value, 2)
        case "date":
            return formats.day(value)
        case "instant":
            return formats.moment(value)
        case "flag":
            return "yes" if value in ("true", "t") else "no"
    return words or f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind} you cannot see"
