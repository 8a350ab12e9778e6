"""Whom rows can be assigned to: the directory, which is the same for everybody, remembered for half a minute."""

from __future__ import annotations

import time

from transactional.kernel.calls import fetch_page
from transactional.kernel.problems import Problem
from web.session import Reader

REMEMBERED_SECONDS = 30.0
_known: tuple[float, list[tuple[str, str]]] = (0.0, [])


def people(reader: Reader) -> list[tuple[str, str]]:
    """``(id, name)``: oneself first, then by name. Oneself alone where the directory gives no answer."""
    me = str(reader.principal.user_id)
    return [(me, "Me"), *((key, name) for key, name in _directory(reader) if key != me)]


def _directory(reader: Reader) -> list[tuple[str, str]]:
    global _known
    until, found = _known
    if not reader.may("identity.user_account.read"):
        return []
    if time.monotonic() < until:
        return found
    try:
        staff = fetch_page("identity.user_account", {"is_active": "true", "limit": "500"}, reader.ctx())["items"]
    except Problem:
        return found
    names = [(person["id"], person["display_name"]) for person in staff if "service" not in person["roles"]]
    _known = (time.monotonic() + REMEMBERED_SECONDS, sorted(names, key=lambda item: item[1].casefold()))
    return _known[1]
