"""A record as its service has it now; while that gives no answer, as the read side last saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.utils import Error as DatabaseError

from bi.names import names_of
from bi.record import record as read_side
from policy.problems import Problem as ReadProblem
from transactional.kernel.calls import fetch, fetch_page
from transactional.kernel.dberrors import problem_of
from transactional.kernel.problems import Problem
from web.requests import PageRequest

SILENT = "{service} gives no answer at the moment."
MAX_OPTIONS = 2000
Seen = tuple[Mapping[str, Any], str | None]
"""A record as the read side last saw it, and the moment (ISO) up to which everything is in it."""


@dataclass(frozen=True)
class Record:
    """``data`` as the API shows it, ``actions`` the commands that the reader could give now. ``silent`` names the
    service that gives no answer: the record is then what the read side knew, and cannot be changed."""

    object_type: str
    key: UUID
    data: Mapping[str, Any]
    names: Mapping[UUID, str] = field(default_factory=dict)
    silent: str = ""
    as_of: str | None = None

    @property
    def version(self) -> int:
        return int(self.data["version"])

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(action["command"] for action in self.data.get("allowed_actions", ()))

    def name_of(self, column: str) -> str | None:
        """What the thing is called whose id stands in ``column``; None where it is empty or not to be seen."""
        value = self.data.get(column)
        return self.names.get(UUID(value)) if value else None


def read(
    request: PageRequest,
    object_type: str,
    key: UUID,
    *,
    named: Iterable[str] = (),
    otherwise: Callable[[], Seen] | None = None,
    flat: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> Record:
    """The record; ``named`` are its columns whose ids are to be called by name, after ``flat`` has laid it out.

    ``otherwise`` gives the record as the read side has it, and of when. Raises Problem: absent, forbidden, or
    unavailable where there is no other way to read it, or the read side gives no answer either.
    """
    silent, as_of = "", None
    try:
        data: Mapping[str, Any] = ask(lambda: fetch(object_type, key, request.reader.ctx()))
    except Problem as problem:
        if problem.status != 503 or otherwise is None:
            raise
        data, as_of = otherwise()
        silent = SILENT.format(service=object_type.partition(".")[0].capitalize())
    data = flat(data)
    ids = [UUID(value) for value in (data.get(column) for column in named) if value]
    return Record(object_type, key, data, names(request, ids), silent, as_of)


def seen(request: PageRequest, object_type: str, key: UUID) -> Callable[[], Seen]:
    """A contact, order or product as the read side has it, for ``read``'s ``otherwise``."""
    return lambda: read_side(settings.HEADWATER_WAREHOUSE, request.reader.principal, object_type, key)


def ask(call: Callable[[], Any]) -> Any:
    """What the call gives; a database that does not answer becomes the Problem that says so."""
    try:
        return call()
    except DatabaseError as error:
        problem = problem_of(error)
        if problem is None:
            raise
        raise problem from error


def names(request: PageRequest, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Names by id; none while the read side gives no answer: a page does without them."""
    try:
        return names_of(settings.HEADWATER_WAREHOUSE, request.reader.principal, ids)
    except ReadProblem as problem:
        if problem.status != 503:
            raise
        return {}


def options(request: PageRequest, resource: str, label: str | tuple[str, ...], **filters: str) -> list[tuple[str, str]]:
    """``(id, label)`` of a resource that is short enough to choose from, by label: a column, or several with spaces."""
    columns = (label,) if isinstance(label, str) else label
    found: list[tuple[str, str]] = []
    after: str | None = None
    while True:
        parameters = {"limit": "500", **filters, **({"after": after} if after else {})}
        page = ask(lambda: fetch_page(resource, parameters, request.reader.ctx()))  # noqa: B023
        found += [(item["id"], " ".join(str(item[c]) for c in columns if item[c])) for item in page["items"]]
        after = page["next"]
        if after is None or len(found) >= MAX_OPTIONS:
            return sorted(found, key=lambda option: option[1].casefold())
