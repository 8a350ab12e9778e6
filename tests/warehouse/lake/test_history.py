"""One row's history, wherever its changes lie: all in the change log, all in the lake, or cut anywhere between."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.lake.loader import drain, load
from tests.lakes import LakeSide
from tests.mirror import delete, put, truncate
from warehouse.lake.history import NoSuchRow, Row, find, history
from warehouse.lake.place import Lake

ONE, TWO = uuid.uuid4(), uuid.uuid4()


@pytest.fixture(autouse=True)
def mirrors(side: LakeSide) -> None:
    for schema, table, key, kind in (
        ("contacts", "account", "account_uuid", "uuid"),
        ("contacts", "pair", "left", "integer"),
        ("contacts", "contact", "id", "uuid"),
    ):
        side.log(
            "insert into log.mirror (schema_name, table_name, source, relid, key) values (%s, %s, 'headwater', 1, %s)",
            [schema, table, [key, "right"] if table == "pair" else [key]],
        )
        for column in [key, "right"] if table == "pair" else [key]:
            side.log(
                "insert into log.mirror_column (schema_name, table_name, column_name, type_name)"
                " values (%s, %s, %s, %s)",
                [schema, table, column, kind],
            )


def live(side: LakeSide) -> None:
    put_ = side.stream.commit
    put_(put("contacts.account", account_uuid=ONE, account_number="AC-000001", name="Acme"), actor="Alice")
    put_(
        put("contacts.account", account_uuid=ONE, name="Acme Ltd"),
        put("contacts.account", account_uuid=TWO, name="Globex"),
        actor="Bob",
        command="contacts.update_account",
        reason="merger",
    )
    put_(put("contacts.account", account_uuid=ONE, industry="Steel"))
    put_(delete("contacts.account", account_uuid=ONE), actor="Alice")


@pytest.mark.parametrize("loaded", [0, 1, 3, 4, 5])
def test_the_same_history_wherever_the_lake_ends(side: LakeSide, loaded: int) -> None:
    live(side)
    if loaded == 5:
        drain(side.lake)
        side.log("delete from log.change_log")  # as if retention had dropped it
    else:
        for _ in range(loaded):
            load(side.lake, rows=1)
    found = history(side.owner, side.lake, find(side.owner, f"accounts/{ONE}"))
    assert found.missing is None
    assert [(v.change.actor_name, v.change.command, v.change.reason) for v in found.versions] == [
        ("Alice", "test", None),
        ("Bob", "contacts.update_account", "merger"),
        (None, None, None),
        ("Alice", "test", None),
    ]
    assert [v.fields.get("name") for v in found.versions] == [
        (None, "Acme"),
        ("Acme", "Acme Ltd"),
        None,
        ("Acme Ltd", None),
    ]
    assert found.versions[2].fields == {"industry": (None, "Steel")}
    assert found.versions[-1].state is None


def test_a_row_as_it_was(side: LakeSide) -> None:
    live(side)
    load(side.lake, rows=1)
    found = history(side.owner, side.lake, find(side.owner, f"accounts/{ONE}"))
    second = found.versions[1].change.committed_at
    at = found.at(second)
    assert at is not None
    assert at.state is not None
    assert (at.state["name"], at.state["industry"]) == ("Acme Ltd", None)
    assert found.at(found.versions[0].change.committed_at - timedelta(microseconds=1)) is None
    last = found.at(datetime.now(UTC) + timedelta(days=1))
    assert last is not None
    assert last.state is None


def test_an_emptied_table_ends_every_row_in_it(side: LakeSide) -> None:
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme"))
    side.stream.commit(truncate("contacts.account"))
    drain(side.lake)
    side.stream.commit(put("contacts.account", account_uuid=TWO, name="Globex"))
    assert [v.change.op for v in history(side.owner, side.lake, find(side.owner, f"accounts/{ONE}")).versions] == [
        "u",
        "t",
    ]
    assert [v.change.op for v in history(side.owner, side.lake, find(side.owner, f"accounts/{TWO}")).versions] == ["u"]


def test_rows_are_named_as_people_name_them(side: LakeSide) -> None:
    side.stream.commit(put("contacts.account", account_uuid=ONE, account_number="AC-000001", name="Acme"))
    row = Row("contacts", "account", f'{{"account_uuid": "{ONE}"}}')
    for name in (f"accounts/{ONE}", f"accounts/{str(ONE).upper()}", "accounts/AC-000001", f"contacts.account/{ONE}"):
        assert find(side.owner, name) == row
    assert find(side.owner, "contacts.pair/right=07,left=1").key == '{"left": "1", "right": "7"}'


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("accounts", "write accounts/AC-000001"),
        ("warts/1", "no table 'warts'"),
        ("contacts.pair/1", "left \\(integer\\), right \\(integer\\)"),
        ("accounts/AC-9", "'AC-9' is no key of contacts.account, which has account_uuid \\(uuid\\) or account_number"),
        ("contacts.contact/'; drop table x; --", "is no key"),
    ],
)
def test_what_names_no_row_is_told_what_would(side: LakeSide, name: str, told: str) -> None:
    with pytest.raises(NoSuchRow, match=told):
        find(side.owner, name)


def test_without_its_lake_the_change_log_answers_and_says_so(side: LakeSide) -> None:
    live(side)
    drain(side.lake)
    away = Lake(
        side.lake.catalogue.replace(f"port={side.cluster.port}", "port=1"),
        side.lake.log,
        side.lake.data,
        side.lake.scratch,
    )
    found = history(side.owner, away, find(side.owner, f"accounts/{ONE}"))
    assert len(found.versions) == 4
    assert found.missing is not None
    assert "cannot be used" in found.missing
    assert "secret" not in found.missing
