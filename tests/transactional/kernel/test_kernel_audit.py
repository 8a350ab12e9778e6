"""Who did it: the message in the write-ahead log stands before every change of its transaction."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from tests.cast import Cast
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.transactional.kernel.test_kernel_inbox import seen, wanted
from tests.world import World
from transactional.kernel.inbox import apply_events

SLOT = "audit_check"


@dataclass
class Wal:
    """What was decoded: per transaction the list of audit records and the letters of row changes, in order."""

    world: World

    def transactions(self) -> list[list[Any]]:
        with self.world.superuser() as connection:
            connection.execute("checkpoint")
            rows = connection.execute(
                "select data from pg_logical_slot_get_binary_changes(%s, null, null, 'proto_version', '1',"
                " 'publication_names', 'hw_landing,hw_dispatch', 'messages', 'true')",
                [SLOT],
            ).fetchall()
        found: list[list[Any]] = []
        for row in rows:
            data = bytes(row["data"])
            kind = chr(data[0])
            if kind == "B":
                found.append([])
            elif kind == "M":
                prefix, _, rest = data[10:].partition(b"\0")
                length = struct.unpack(">I", rest[:4])[0]
                if prefix == b"headwater.audit":
                    found[-1].append(json.loads(rest[4 : 4 + length]))
            elif kind in "IUD":
                found[-1].append(kind)
        return [transaction for transaction in found if transaction]


@pytest.fixture
def wal(world: World) -> Iterator[Wal]:
    with slot(world):
        yield Wal(world)


@contextmanager
def slot(world: World) -> Iterator[None]:
    with world.superuser() as connection:
        connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [SLOT])
        try:
            yield
        finally:
            connection.execute("select pg_drop_replication_slot(%s)", [SLOT])


def test_the_message_comes_first_and_says_who_what_and_why(world: World, cast: Cast, wal: Wal) -> None:
    request = uuid7()
    cast.alice.post(
        BOOKS,
        {"title": "Dune", "isbn": new_isbn()},
        key="audited",
        reason="asked by the reader",
        **{"Request-Id": str(request)},
    )
    (transaction,) = wal.transactions()
    assert transaction[0] == {
        "actor": str(cast.alice.id),
        "actor_name": cast.alice.principal.name,
        "on_behalf_of": None,
        "command": "shelf.create_book",
        "request_id": str(request),
        "idempotency_key": "audited",
        "reason": "asked by the reader",
        "service": "shelf",
    }
    assert transaction[1:] == ["I"]


def test_a_refusal_leaves_no_message(world: World, cast: Cast, wal: Wal) -> None:
    cast.bob.post(BOOKS, {"title": "Dune", "isbn": new_isbn()})
    cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn(), "price": "-1"})
    assert [record for t in wal.transactions() for record in t if isinstance(record, dict)] == []


def test_a_replay_leaves_no_message(world: World, cast: Cast, wal: Wal) -> None:
    body = {"title": "Dune", "isbn": new_isbn()}
    for _ in range(3):
        cast.alice.post(BOOKS, body, key="replayed")
    assert len(wal.transactions()) == 1


def test_a_service_that_acts_for_somebody_says_for_whom(world: World, cast: Cast, wal: Wal) -> None:
    from dataclasses import replace

    from tests.cast import Person

    service = Person(replace(cast.admin.principal, on_behalf_of=cast.alice.id))
    service.post(BOOKS, {"title": "Dune", "isbn": new_isbn()})
    ((record, *_),) = wal.transactions()
    assert (record["actor"], record["on_behalf_of"]) == (str(cast.admin.id), str(cast.alice.id))


def test_each_write_of_a_batch_of_events_is_attributed_to_its_own_handler_or_command(
    world: World, cast: Cast, new_book: NewBook, wal: Wal
) -> None:
    book = new_book(cast.alice)
    wal.transactions()
    apply_events("shelf", [seen(uuid7(), 1, "a"), wanted(book["id"], "b"), seen(uuid7(), 1, "c")])
    (transaction,) = wal.transactions()
    told: list[tuple[str, int]] = []
    for entry in transaction:
        if isinstance(entry, dict):
            told.append((entry["command"], 0))
        else:
            told[-1] = (told[-1][0], told[-1][1] + 1)
    assert [(command, changes) for command, changes in told if changes] == [
        ("shelf.account_replica", 2),
        ("shelf.update_book", 1),
    ]


def test_a_bulk_command_is_one_message_and_one_transaction(world: World, cast: Cast, wal: Wal) -> None:
    rows = [{"data": {"title": "Dune", "isbn": new_isbn()}} for _ in range(40)]
    cast.alice.post(f"{BOOKS}/bulk", {"rows": rows})
    (transaction,) = wal.transactions()
    assert transaction[0]["command"] == "shelf.create_books"
    assert transaction[1:] == ["I"] * 80  # books and their events


def test_time_is_utc(world: World, cast: Cast, new_book: NewBook) -> None:
    before = datetime.now(UTC)
    book = new_book(cast.alice)
    (row,) = world.rows("select created_at from shelf.book where id = %s", [UUID(book["id"])])
    assert before <= row["created_at"] <= datetime.now(UTC)
