"""Timelines across the border: what the change log has given up is told from the lake, to the same people."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.template.loader import render_to_string
from django.test import Client, override_settings

from bi.archive import changed_fields
from pipelines.lake.retention import KEEP_DAYS, drop_verified
from policy.roles import ROLES
from tests.bi.test_timeline import page, words
from tests.lakes import age, lake_of
from tests.marts import ACME, GLOBEX, NORTH, ORDER, PERSON, SOUTH, Marts, order
from tests.mirror import Connection, Stream, delete, put
from tests.readers import Person, person
from warehouse.lake.place import Lake
from web.records.history import history

LINK = uuid4()


@pytest.fixture
def lake(marts: Marts, tmp_path: Path) -> Iterator[Lake]:
    made = lake_of(marts.cluster, marts.name, tmp_path)
    readers = replace(made, catalogue=marts.dsn("wh_api"), log=marts.dsn("wh_api"))
    with override_settings(HEADWATER_LAKE=lambda: readers):
        yield made


def write(stream: Stream) -> None:
    stream.commit(
        put("contacts.contact", id=PERSON, account_uuid=ACME, phone="+1 206 555 0100"),
        actor="Alice Reyes",
        command="contacts.update_contact",
        reason="she called",
    )
    stream.commit(put("contacts.account", account_uuid=ACME, version=7))
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Rockets", custom={"tier": "gold"}))
    stream.commit(
        put("contacts.account_contact", id=LINK, account_uuid=ACME, contact_id=PERSON, role="Buyer"), actor="Bob"
    )
    stream.commit(delete("contacts.account_contact", id=LINK), actor="Alice")
    stream.commit(
        *(order(UUID(int=9 << 64 | n), ACME, number=f"SO-2{n:05}", territory_id=NORTH) for n in range(9)),
        actor="Importer",
    )


def told(who: Person, kind: str = "account", key: object = ACME, limit: int = 100) -> list[dict[str, Any]]:
    """Every change, page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        answer = page(who, kind, key, limit=limit, **({"after": after} if after else {}))
        assert not answer["archive_silent"]
        found += answer["changes"]
        after = answer["next"]
        if after is None:
            return [change | {"at": datetime.fromisoformat(change["at"])} for change in found]


def status(who: Person, kind: str, key: object) -> int:
    headers = {"Authorization": f"Bearer {who.token()}"}
    return Client().get(f"/api/360/{kind}s/{key}/timeline", headers=headers).status_code


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_what_is_told_is_the_same_after_days_were_dropped(
    lake: Lake, alice: Person, stream: Stream, owner: Connection, limit: int
) -> None:
    write(stream)
    age(owner, KEEP_DAYS + 2)
    stream.commit(put("orders.sales_order", id=ORDER, status="shipped"), actor="Wes")
    (late,) = owner.execute("select max(committed_at) - interval '1 hour' from log.change_log").fetchone()
    # Landed late: it was committed before much of what is in the lake by now.
    batch = stream.commit(put("contacts.account", account_uuid=ACME, name="Acme Ltd"), actor="Dana")
    owner.execute("update log.change_log set committed_at = %s where batch_id = %s", [late, batch])
    before = {kind: told(alice, kind, key) for kind, key in (("account", ACME), ("contact", PERSON), ("order", ORDER))}
    assert len(before["account"]) > 15
    assert drop_verified(lake)
    (left,) = owner.execute("select count(*) from log.change_log").fetchone()
    assert left == 2
    after = {
        kind: told(alice, kind, key, limit) for kind, key in (("account", ACME), ("contact", PERSON), ("order", ORDER))
    }
    assert after == before


def test_changes_that_land_while_somebody_reads_on_move_nothing(
    lake: Lake, alice: Person, stream: Stream, owner: Connection
) -> None:
    """And neither does a day that is dropped between two pages."""
    write(stream)
    age(owner, KEEP_DAYS + 2)
    drop_verified(lake)
    stream.commit(*(order(uuid4(), ACME, number=f"SO-3{n:05}", territory_id=NORTH) for n in range(8)))
    everything = told(alice)
    first = page(alice, "account", ACME, limit=5)
    age(owner, KEEP_DAYS + 1)
    drop_verified(lake)
    stream.commit(put("contacts.account", account_uuid=ACME, industry="meanwhile"))
    found, after = first["changes"], first["next"]
    while after:
        following = page(alice, "account", ACME, limit=5, after=after)
        found, after = found + following["changes"], following["next"]
    assert [change | {"at": datetime.fromisoformat(change["at"])} for change in found] == everything


def test_the_first_page_asks_no_lake_and_says_where_it_ends(
    lake: Lake, alice: Person, stream: Stream, owner: Connection
) -> None:
    write(stream)
    age(owner, KEEP_DAYS + 2)
    *_, last = drop_verified(lake)
    stream.commit(put("contacts.account", account_uuid=ACME, name="Acme Ltd"), actor="Dana")

    def asked() -> Lake:
        raise AssertionError("the lake was asked")

    with override_settings(HEADWATER_LAKE=asked):
        first = page(alice, "account", ACME)
    assert [words(change) for change in first["changes"]] == [{"Name": ("Acme", "Acme Ltd")}]
    assert first["since"] == f"{last + timedelta(days=1)}"
    assert first["next"] is not None
    assert page(alice, "account", ACME, after=first["next"])["next"] is None


def test_a_silent_lake_leaves_the_rest_and_says_so(
    lake: Lake, alice: Person, stream: Stream, owner: Connection
) -> None:
    write(stream)
    before = told(alice)
    age(owner, KEEP_DAYS + 2)
    drop_verified(lake)
    away = lake.data.rename(lake.data.parent / "away")
    first = page(alice, "account", ACME)
    assert not first["archive_silent"]
    second = page(alice, "account", ACME, after=first["next"])
    assert second["archive_silent"]
    assert (second["changes"], second["next"]) == ([], first["next"])
    lake.data.rmdir()
    away.rename(lake.data)
    again = page(alice, "account", ACME, after=second["next"], limit=100)
    assert len(again["changes"]) == len(before)


def test_the_page_offers_what_is_older_says_when_it_is_silent_and_where_it_ends(
    lake: Lake, alice: Person, stream: Stream, owner: Connection
) -> None:
    def panel(after: str | None = None) -> tuple[str, str | None]:
        request = SimpleNamespace(
            reader=SimpleNamespace(principal=alice.principal), GET={"after": after} if after else {}
        )
        context, _ = history(request, "account", ACME)  # type: ignore[arg-type]
        shown = render_to_string("records/panel_history.html", context | {"src": "/panel", "panel_id": "history"})
        return " ".join(shown.split()), context["next"]

    write(stream)
    age(owner, KEEP_DAYS + 2)
    drop_verified(lake)
    shown, after = panel()
    assert "Nothing has changed since" in shown
    assert f'href="/panel?after={after}"' in shown
    assert "Show older" in shown
    away = lake.data.rename(lake.data.parent / "away")
    shown, again = panel(after)
    assert "The archive of older changes gives no answer" in shown
    assert "Try again" in shown
    lake.data.rmdir()
    away.rename(lake.data)
    shown, end = panel(again)
    assert "Alice Reyes" in shown
    assert "she called" in shown
    assert end is None
    nothing = base64.urlsafe_b64encode(b'["2001-01-01T00:00:00Z","0/0",0,"-","-",{}]').decode().rstrip("=")
    assert "There is nothing older" in panel(nothing)[0]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_each_role_is_told_from_the_lake_what_it_was_told_before(
    lake: Lake, key: Ed25519PrivateKey, stream: Stream, owner: Connection, role: str
) -> None:
    """Of the north and of the south: nobody is told more because it is older."""
    write(stream)
    stream.commit(put("finance.account_profile", account_uuid=ACME, credit_limit=Decimal(500)), actor="Ada")
    stream.commit(put("contacts.account", account_uuid=GLOBEX, industry="Steel"), actor="Charlie")
    stream.commit(put("orders.sales_order", id=UUID(int=9 << 64), territory_id=SOUTH), actor="Wes")
    asked = [
        ("account", ACME),
        ("account", GLOBEX),
        ("contact", PERSON),
        ("order", ORDER),
        ("order", UUID(int=9 << 64)),
    ]

    def seen() -> list[Any]:
        readers = [person(key, number, role, territory=place) for number, place in ((20, NORTH), (21, SOUTH))]
        return [
            told(reader, kind, subject) if status(reader, kind, subject) == 200 else None
            for reader in readers
            for kind, subject in asked
        ]

    before = seen()
    age(owner, KEEP_DAYS + 2)
    drop_verified(lake)
    assert seen() == before


def test_bob_and_charlie_learn_nothing_from_a_place_in_the_archive(
    lake: Lake, alice: Person, bob: Person, charlie: Person, stream: Stream, owner: Connection
) -> None:
    write(stream)
    age(owner, KEEP_DAYS + 2)
    drop_verified(lake)
    place = page(alice, "account", ACME)["next"]
    page(bob, "account", ACME, 403, after=place)
    hidden, absent = (
        page(charlie, "account", ACME, 404, after=place),
        page(charlie, "account", uuid4(), 404, after=place),
    )
    assert hidden["title"] == absent["title"]
    assert {change["object_id"] for change in page(charlie, "account", GLOBEX, after=place)["changes"]} == {str(GLOBEX)}


def test_what_counts_as_a_change_is_the_same_in_log_and_lake(owner: Connection, stream: Stream) -> None:
    write(stream)
    found = owner.execute("select before, after, ops.changed_fields(before, after) from log.change_log").fetchall()
    assert any(fields is None for *_, fields in found)
    for before, after, fields in found:
        assert changed_fields(before, after) == fields
