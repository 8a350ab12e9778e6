"""Lifecycles: state machines declared as data on a model, read by commands and by ``allowed_actions``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, overload

from transactional.kernel.problems import NotAllowedNow


@dataclass(frozen=True, slots=True)
class Transition:
    """``name`` is the verb of the command that makes it; ``to`` None keeps the state (an action allowed only there)."""

    name: str
    sources: tuple[str, ...]
    to: str | None


class Lifecycle:
    """The states of a model's ``field``. On an instance it is bound: ``order.lifecycle.require("confirm")``."""

    def __init__(self, field: str, *, initial: str, transitions: Iterable[Transition]) -> None:
        self.field = field
        self.transitions = {transition.name: transition for transition in transitions}
        reached = {initial, *(transition.to for transition in self.transitions.values())}
        lost = {source for transition in self.transitions.values() for source in transition.sources} - reached
        if lost:
            raise ValueError(f"Nothing leads to {', '.join(sorted(lost))}: neither the initial state nor a transition.")

    @overload
    def __get__(self, row: None, owner: type) -> Lifecycle: ...
    @overload
    def __get__(self, row: object, owner: type) -> BoundLifecycle: ...
    def __get__(self, row: object | None, owner: type) -> Lifecycle | BoundLifecycle:
        return self if row is None else BoundLifecycle(self, row)


class BoundLifecycle:
    """The lifecycle of one row."""

    def __init__(self, lifecycle: Lifecycle, row: Any) -> None:
        self._lifecycle = lifecycle
        self._row = row

    @property
    def state(self) -> str:
        return str(getattr(self._row, self._lifecycle.field))

    def names(self, verb: str) -> bool:
        """Whether the verb is one of the lifecycle's transitions at all."""
        return verb in self._lifecycle.transitions

    def allows(self, verb: str) -> bool:
        return self.state in self._lifecycle.transitions[verb].sources

    @property
    def allowed(self) -> list[str]:
        return [name for name in self._lifecycle.transitions if self.allows(name)]

    def require(self, verb: str) -> Transition:
        """The transition, or NotAllowedNow with the state and what is possible in it."""
        if not self.allows(verb):
            possible = ", ".join(self.allowed) or "nothing"
            raise NotAllowedNow(
                f"Cannot {verb} {self._row.object_type()} {self._row.pk}: it is {self.state}. Possible: {possible}.",
                extra={"state": self.state, "allowed": self.allowed},
            )
        return self._lifecycle.transitions[verb]

    def apply(self, verb: str, **values: Any) -> None:
        """Moves the row to the transition's state, together with ``values``, and saves it."""
        to = self.require(verb).to
        self._row.change(**({self._lifecycle.field: to} if to else {}), **values)
