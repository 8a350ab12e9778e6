"""The demo company's people can be logged in as, with a password that only this installation has."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from django.test import Client

from headwater import companies
from headwater.cli.lifecycle import demo_login
from headwater.prepare import SETUP
from headwater.state import Home
from tests.world import World
from transactional.importers import demo, loading
from transactional.kernel.calls import execute
from transactional.kernel.context import Context


@pytest.fixture(scope="module")
def staff(world: World) -> None:
    """The administrator, and the demo company without anything to sell."""
    ctx = Context(actor=SETUP)
    execute("identity.create_user", {"username": "admin", "display_name": "Admin", "roles": ["admin"]}, ctx)
    company = demo.build(size=demo.Size(accounts=10, orders=1))
    for frame in ("categories", "products", "accounts", "contacts", "orders"):
        setattr(company, frame, getattr(company, frame).head(0))
    loading.load(company, ctx)


def login(username: str, password: str) -> int:
    body = json.dumps({"username": username, "password": password})
    return Client().post("/api/identity/token", body, content_type="application/json").status_code


def test_alice_bob_and_charlie_log_in_with_the_password_that_is_printed(staff: None, tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert demo_login(home) == []
    companies.let_people_in(home)
    (line,) = demo_login(home)
    people, _, rest = line.partition(" / ")
    password = rest.split()[0]
    assert people.split(", ")[:3] == ["alice", "bob", "charlie"]
    assert [login(name, password) for name in people.split(", ")] == [200] * 7
    assert login("rep11", password) == 401
    assert stat.S_IMODE(home.demo_login.stat().st_mode) == 0o600


def test_again_changes_nothing_and_another_installation_has_another_password(
    staff: None, tmp_path: Path, world: World
) -> None:
    home = Home(tmp_path)
    companies.let_people_in(home)
    before = world.rows("select user_id, password from identity.credential order by user_id")
    said = demo_login(home)
    companies.let_people_in(home)
    assert world.rows("select user_id, password from identity.credential order by user_id") == before
    assert demo_login(home) == said
    other = Home(tmp_path / "other")
    other.root.mkdir()
    companies.let_people_in(other)
    assert demo_login(other)[0].split(" / ")[1].split()[0] != said[0].split(" / ")[1].split()[0]
