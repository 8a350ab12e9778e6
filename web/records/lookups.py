"""Records that people name in a form as they call them: by number, by name, or by an entry of the list on offer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.template.loader import render_to_string

from bi.warehouse import WarehouseUnavailable
from search.entities import BY_NAME
from search.errors import EngineUnavailable, IndexMissing, QueryRefused
from search.read import find
from transactional.kernel.calls import fetch_page
from transactional.kernel.problems import Invalid
from web import errors
from web.records.source import ask
from web.requests import PageRequest

SEPARATOR = " · "
"""Between number and name in what the list offers."""
OFFERED = 8


def offer(request: PageRequest, entity: str) -> HttpResponse:
    """Entries for what was typed so far (``?q=``), as options of a data list."""
    if entity not in BY_NAME or not request.reader.may(f"{BY_NAME[entity].resource}.read"):
        return errors.absent(request)
    found = [(hit.number, hit.title.text) for hit in _hits(request, entity, request.GET.get("q", ""))]
    context = {"options": [SEPARATOR.join(filter(None, pair)) for pair in found]}
    return HttpResponse(render_to_string("records/options.html", context, request))


def account_in(request: PageRequest, typed: str, field: str) -> str:
    """The id of the account that somebody typed. Raises Invalid with what to do."""
    return _one(request, "account", "contacts.account", "account_number", "account_uuid", typed, field)


def product_in(request: PageRequest, typed: str, field: str) -> str:
    """The id of the product that somebody typed. Raises Invalid with what to do."""
    return _one(request, "product", "inventory.product", "sku", "id", typed, field)


def _one(request: PageRequest, entity: str, resource: str, number: str, key: str, typed: str, field: str) -> str:
    first = typed.partition(SEPARATOR)[0].strip()
    parameters = {number: first, "limit": "2"}
    found: list[dict[str, Any]] = ask(lambda: fetch_page(resource, parameters, request.reader.ctx()))["items"]
    if len(found) == 1:
        return str(found[0][key])
    wanted = typed.strip().casefold()
    same: list[UUID] = [hit.id for hit in _hits(request, entity, typed) if hit.title.text.casefold() == wanted]
    if len(same) == 1:
        return str(same[0])
    if same:
        raise Invalid(field, "several", f"Several {entity}s are called {typed}: type the number of one.")
    raise Invalid(field, "unknown", f"There is no {entity} {typed}. Choose one of the list, or type its number.")


def _hits(request: PageRequest, entity: str, typed: str) -> list[Any]:
    """What search finds; nothing while it gives no answer: numbers can be typed all the same."""
    try:
        answer = find(request.reader.principal, typed, entities=[entity], limit=OFFERED)
    except (EngineUnavailable, IndexMissing, QueryRefused, WarehouseUnavailable):
        return []
    return [hit for group in answer.groups for hit in group.hits]
