"""Who acts: the verified content of a token."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or service, with what policy decides on.

    ``team_ids`` is expanded downwards (the person's team, first, and every team below it). ``user_id`` is None only
    for the system itself. ``issued_at`` is the token's, in Unix seconds.
    """

    user_id: UUID | None
    name: str
    roles: frozenset[str]
    team_ids: tuple[UUID, ...] = ()
    territory_ids: tuple[UUID, ...] = ()
    on_behalf_of: UUID | None = None
    issued_at: int = 0


STREAM = Principal(user_id=None, name="stream", roles=frozenset({"service"}))
"""The system reacting to an event: a service's worker, on nobody's behalf."""

TIMER = Principal(user_id=None, name="timer", roles=frozenset({"service"}))
"""The system acting because it is time: likewise."""
