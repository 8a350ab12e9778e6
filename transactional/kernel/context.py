"""The context of one call: who acts, on which request, and what the running command has produced so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from uuid_utils.compat import uuid7

from policy.decide import scopes
from policy.principal import Principal
from policy.rows import contains
from transactional.contracts.base import Command, Event
from transactional.kernel.problems import FieldError, Forbidden, StaleVersion


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reference:
    """A row came from elsewhere: ``source`` and ``key`` name it there."""

    source: str
    key: str
    resource: str
    resource_id: UUID


@dataclass
class Context:
    """What a caller says about a call (the first block), and what the kernel fills in while it runs (the second).

    ``expected_version`` is the version of the target the caller has seen (``If-Match``). ``token`` is the bearer token
    as it came, passed on when a call leaves this process. A ``rehearsal`` runs a command to its answer and then takes
    everything back.
    """

    actor: Principal
    request_id: UUID = field(default_factory=uuid7)
    idempotency_key: str | None = None
    reason: str | None = None
    expected_version: int | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    token: str | None = field(default=None, repr=False)
    rehearsal: bool = False

    service: str = ""
    name: str = ""
    permission: str = ""
    target: UUID | None = None
    input: Command | None = field(default=None, repr=False)
    now: datetime = field(default_factory=_now)
    events: list[Event] = field(default_factory=list, repr=False)
    references: list[Reference] = field(default_factory=list, repr=False)
    version_checked: bool = False

    def running(self, *, service: str, name: str, permission: str) -> Self:
        """A fresh context for one run of a command or read, from what the caller said."""
        return replace(
            self,
            service=service,
            name=name,
            permission=permission,
            now=_now(),
            events=[],
            references=[],
            version_checked=False,
        )

    def emit(self, event: Event) -> None:
        """Records an event; it is written to the outbox in the command's transaction."""
        self.events.append(event)

    def refer(self, row: Any, source: str, key: str) -> None:
        """Records where ``row`` came from, so that the same thing is not imported twice."""
        self.references.append(Reference(source, key, row.object_type(), row.pk))

    def scope_values(self, cmd: Command) -> dict[str, UUID | None]:
        """Scope columns of a new row: what the command says (null: nobody's), else the actor's own.

        The actor's own are the actor, their team, and their only territory.
        """
        teams, territories = self.actor.team_ids, self.actor.territory_ids
        own = {
            "owner_id": self.actor.user_id,
            "team_id": teams[0] if teams else None,
            "territory_id": territories[0] if len(territories) == 1 else None,
        }
        return {name: getattr(cmd, name) if name in cmd.model_fields_set else value for name, value in own.items()}

    def check_version(self, row: Any) -> None:
        """Compares the command's target with the version its caller saw; StaleVersion names the fields that differ."""
        if self.target is None or row.pk != self.target or self.version_checked:
            return
        self.version_checked = True
        if self.expected_version is None or row.version == self.expected_version:
            return
        differing = []
        sent = self.input.given() if self.input is not None else {}
        for name, value in sent.items():
            current = getattr(row, name, value)
            if current != value:
                differing.append(FieldError(name, "changed", f"is {_shown(current)} now, you sent {_shown(value)}"))
        raise StaleVersion(
            f"{row.object_type()} {row.pk} is at version {row.version}; you expected {self.expected_version}.",
            errors=differing,
            extra={"current_version": row.version, "expected_version": self.expected_version},
        )

    def check_created(self, row: Any) -> None:
        """A creator may not put a row where they could not reach it themselves."""
        object_type = row.object_type()
        if not row.scoped():
            return
        if not contains(self.actor, scopes(self.actor.roles, self.permission, object_type), row):
            raise Forbidden(
                f"This {object_type} would lie outside of the rows that {self.actor.name} may reach; "
                "choose an owner, team or territory of your own.",
                errors=[
                    FieldError(name, "out_of_scope", "not yours")
                    for name in ("owner_id", "team_id", "territory_id")
                    if getattr(row, name) is not None
                ],
            )


def _shown(value: object) -> str:
    return "empty" if value is None else str(value)
