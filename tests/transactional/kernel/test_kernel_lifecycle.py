"""Lifecycles are data, and wrong data is found when the service starts."""

from __future__ import annotations

import pytest

from transactional.kernel.lifecycle import Lifecycle, Transition
from transactional.kernel.problems import NotAllowedNow


class Door:
    """A row that is saved nowhere."""

    lifecycle = Lifecycle(
        "state",
        initial="open",
        transitions=(
            Transition("close", ("open",), "closed"),
            Transition("open", ("closed",), "open"),
            Transition("knock", ("closed",), None),
        ),
    )
    pk = 7

    def __init__(self, state: str) -> None:
        self.state = state
        self.saved: list[dict[str, object]] = []

    def object_type(self) -> str:
        return "house.door"

    def change(self, **values: object) -> None:
        self.saved.append(values)


def test_what_is_allowed_follows_from_the_state() -> None:
    assert Door("open").lifecycle.allowed == ["close"]
    assert Door("closed").lifecycle.allowed == ["open", "knock"]


def test_a_transition_moves_the_row_together_with_other_values() -> None:
    door = Door("open")
    door.lifecycle.apply("close", closed_by="Bob")
    assert door.saved == [{"state": "closed", "closed_by": "Bob"}]


def test_an_action_without_a_target_keeps_the_state() -> None:
    door = Door("closed")
    door.lifecycle.apply("knock", knocks=1)
    assert door.saved == [{"knocks": 1}]


def test_what_is_not_possible_says_what_is() -> None:
    with pytest.raises(NotAllowedNow, match=r"Cannot open house\.door 7: it is open\. Possible: close\."):
        Door("open").lifecycle.require("open")


def test_a_state_that_nothing_leads_to_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="Nothing leads to opne"):
        Lifecycle("state", initial="open", transitions=(Transition("close", ("opne",), "closed"),))
