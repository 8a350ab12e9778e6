"""Row scopes compiled for search: a document carries keys, a reader holds keys, one in common opens the document."""

from __future__ import annotations

from typing import Any

from policy.principal import Principal
from policy.roles import Scope


def row_keys(owner_id: Any, team_id: Any, territory_id: Any) -> list[str]:
    """The keys of a row by its scope columns, each a UUID, its text, or None."""
    columns = (("own", owner_id), ("team", team_id), ("territory", territory_id))
    return [_key(name, value) for name, value in columns if value is not None]


def reader_keys(principal: Principal, reached: frozenset[Scope]) -> frozenset[str] | None:
    """The keys that open a document to the reader, by scopes as ``policy.decide.scopes`` gives them.

    None opens every document; an empty set opens none.
    """
    if Scope.ALL in reached:
        return None
    keys: set[str] = set()
    if Scope.OWN in reached and principal.user_id is not None:
        keys.add(_key("own", principal.user_id))
    if Scope.TEAM in reached:
        keys.update(_key("team", team) for team in principal.team_ids)
    if Scope.TERRITORY in reached:
        keys.update(_key("territory", territory) for territory in principal.territory_ids)
    return frozenset(keys)


def _key(scope: str, value: Any) -> str:
    return f"{scope}:{value}"
