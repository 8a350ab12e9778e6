"""The sample service's people and books."""

from __future__ import annotations

from typing import Any
from typing import cast as cast_

import pytest

from policy import roles
from policy.roles import Role
from tests.cast import Cast, Person, the_cast
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.world import World

LIBRARIAN = "librarian"


@pytest.fixture(autouse=True)
def librarian(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role of the sample service, for its tests alone: all of its commands, in one's own rows and territories."""
    monkeypatch.setitem(cast_("dict[str, Role]", roles.ROLES), LIBRARIAN, Role(frozenset({"shelf.*"}), roles.TERRITORY))


@pytest.fixture
def cast(world: World) -> Cast:
    return the_cast(LIBRARIAN)


@pytest.fixture
def new_book() -> NewBook:
    """Makes a book through the API and returns it as the API shows it."""

    def make(person: Person, **values: Any) -> dict[str, Any]:
        answer = person.post(BOOKS, {"title": "Dune", "isbn": new_isbn()} | values)
        assert answer.status_code == 201, answer.content
        found: dict[str, Any] = answer.json()
        return found

    return make
