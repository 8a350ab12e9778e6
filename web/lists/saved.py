"""A person's own views of a list, kept by identity: the tabs beside those that everybody has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transactional.kernel.calls import fetch_page
from transactional.kernel.problems import Problem
from web.lists.asked import Asked
from web.lists.screens import Screen
from web.session import Reader

PERMISSION = "identity.saved_view.read"


@dataclass(frozen=True)
class Tab:
    """``current``: this is what one looks at. ``changed``: it was, before filters or order were changed."""

    key: str
    label: str
    url: str
    current: bool
    changed: bool
    own: bool


def tabs(screen: Screen, wanted: Asked, reader: Reader) -> list[Tab]:
    """The tabs; one that the address names is current, else one that shows the same."""
    known = [(view.name, view.label, view.query, False) for view in screen.views]
    known += [(str(view["id"]), view["name"], view["query"], True) for view in mine(screen, reader)]
    named = next((key for key, _, query, _ in known if key == wanted.view), None)
    same = next((key for key, _, query, _ in known if query == wanted.address), None)
    current = named or same or ("" if wanted.address else known[0][0])
    return [
        Tab(key, label, _url(screen, key, query), key == current, key == current and query != wanted.address, own)
        for key, label, query, own in known
    ]


def mine(screen: Screen, reader: Reader) -> list[dict[str, Any]]:
    """None while identity is away: the list itself does not need it."""
    if not reader.may(PERMISSION):
        return []
    try:
        found = fetch_page("identity.saved_view", {"list_name": screen.name, "limit": "50"}, reader.ctx())
    except Problem:
        return []
    views: list[dict[str, Any]] = found["items"]
    return views


def _url(screen: Screen, key: str, query: str) -> str:
    parts = [query] if query else []
    if key != screen.views[0].name:
        parts.append(f"view={key}")
    return screen.url + ("?" + "&".join(parts) if parts else "")
