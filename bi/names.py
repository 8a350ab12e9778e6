"""Names of people, teams, territories and records by their ids, within what the reader may see."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from uuid import UUID

from bi.reading import found
from policy.principal import Principal

_STATEMENT = (resources.files(__package__) / "names.sql").read_bytes()


def names_of(dsn: str, principal: Principal, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Id → name. An id that is absent or out of the reader's rows has none. Raises Problem 401 or 503."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    names: dict[str, str] = found(dsn, principal, _STATEMENT, [wanted])
    return {UUID(key): name for key, name in names.items()}
