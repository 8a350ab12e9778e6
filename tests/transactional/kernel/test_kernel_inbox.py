"""Events of other services: each applied once, in order per aggregate, and a bad one stops nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.db.utils import OperationalError
from uuid_utils.compat import uuid7

from tests.cast import Cast
from tests.transactional.kernel.books import BOOKS, NewBook
from tests.transactional.kernel.shelf.models import AccountReplica
from tests.world import World
from transactional.kernel.calls import execute
from transactional.kernel.inbox import InboundEvent, Verdict, apply_events, subscriptions


def seen(account: UUID, version: int, name: str, **more: Any) -> InboundEvent:
    return InboundEvent(
        id=uuid7(),
        type="ACCOUNT_SEEN",
        schema_version=1,
        aggregate_type="account",
        aggregate_id=account,
        aggregate_version=version,
        payload={"name": name} | more,
        occurred_at=datetime.now(UTC),
    )


def wanted(book: str, title: str) -> InboundEvent:
    return InboundEvent(
        id=uuid7(),
        type="BOOK_WANTED",
        schema_version=1,
        aggregate_type="wish",
        aggregate_id=UUID(book),
        aggregate_version=1,
        payload={"book": book, "title": title},
        occurred_at=datetime.now(UTC),
        correlation_id=uuid7(),
    )


def statuses(verdicts: Iterable[Verdict]) -> list[str]:
    return [verdict.status for verdict in verdicts]


def test_a_service_says_what_it_wants(world: World) -> None:
    assert subscriptions("shelf") == ["ACCOUNT_SEEN", "BOOK_WANTED", "USER_CHANGED"]


def test_an_event_is_applied_once_however_often_it_comes(world: World) -> None:
    account = uuid7()
    event = seen(account, 1, "Acme", address={"city": "Ulm"})
    assert statuses(apply_events("shelf", [event, event])) == ["applied", "duplicate"]
    assert statuses(apply_events("shelf", [event])) == ["duplicate"]
    replica = AccountReplica.objects.get(pk=account)
    assert (replica.name, replica.address, replica.replica_version, replica.version) == (
        "Acme",
        {"city": "Ulm"},
        1,
        1,
    )


def test_a_replica_never_goes_back(world: World) -> None:
    account = uuid7()
    apply_events("shelf", [seen(account, 3, "Third")])
    assert statuses(apply_events("shelf", [seen(account, 2, "Second")])) == ["applied"]
    assert AccountReplica.objects.get(pk=account).name == "Third"
    apply_events("shelf", [seen(account, 5, "Fifth"), seen(account, 4, "Fourth")])
    replica = AccountReplica.objects.get(pk=account)
    assert (replica.name, replica.replica_version) == ("Fifth", 5)


def test_a_replicas_own_columns_stay(world: World, cast: Cast) -> None:
    account = uuid7()
    apply_events("shelf", [seen(account, 1, "Acme")])
    execute("shelf.set_discount", {"account_uuid": account, "discount": "0.15"}, cast.admin.ctx())
    apply_events("shelf", [seen(account, 2, "Acme Ltd")])
    replica = AccountReplica.objects.get(pk=account)
    assert (replica.name, str(replica.discount), replica.version) == ("Acme Ltd", "0.150000", 3)


def test_an_event_that_fails_stops_its_aggregate_only(world: World) -> None:
    good, bad = uuid7(), uuid7()
    events = [
        seen(good, 1, "one"),
        seen(bad, 1, "one"),
        seen(bad, 2, "poison"),
        seen(good, 2, "two"),
        seen(bad, 3, "three"),
    ]
    verdicts = apply_events("shelf", events)
    assert statuses(verdicts) == ["applied", "applied", "failed", "applied", "blocked"]
    assert verdicts[2].error == "ValueError: cannot read this one"
    assert AccountReplica.objects.get(pk=good).name == "two"
    assert AccountReplica.objects.get(pk=bad).name == "one"
    # Once mended it may be sent again, with what was blocked behind it.
    mended = seen(bad, 2, "mended")
    assert statuses(apply_events("shelf", [mended, events[4]])) == ["applied", "applied"]
    assert AccountReplica.objects.get(pk=bad).name == "three"


def test_a_failure_blocks_its_aggregate_across_transactions(world: World) -> None:
    bad = uuid7()
    events = [seen(bad, 1, "poison"), *(seen(uuid7(), 1, "fine") for _ in range(600)), seen(bad, 2, "after")]
    verdicts = apply_events("shelf", events)
    assert (verdicts[0].status, verdicts[-1].status) == ("failed", "blocked")
    assert {verdict.status for verdict in verdicts[1:-1]} == {"applied"}


def test_an_event_nobody_wants_is_ignored(world: World) -> None:
    before = world.count("shelf.inbox")
    event = InboundEvent(uuid7(), "UNHEARD_OF", 1, "thing", uuid7(), 1, {}, datetime.now(UTC))
    assert statuses(apply_events("shelf", [event])) == ["ignored"]
    assert world.count("shelf.inbox") == before


def test_a_handler_acts_through_a_command_once(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    event = wanted(book["id"], "Wanted title")
    assert statuses(apply_events("shelf", [event])) == ["applied"]
    assert statuses(apply_events("shelf", [event])) == ["duplicate"]
    now = cast.alice.get(f"{BOOKS}/{book['id']}").json()
    assert (now["title"], now["version"]) == ("Wanted title", 2)
    key = f"event:{event.id}:shelf.update_book"
    assert len(world.rows("select * from shelf.idempotency_key where key = %s", [key])) == 1


def test_a_command_that_refuses_an_event_fails_that_event(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    missing = str(uuid7())
    verdicts = apply_events("shelf", [wanted(missing, "x"), wanted(book["id"], "y")])
    assert statuses(verdicts) == ["failed", "applied"]
    assert verdicts[0].error == f"Absent: There is no shelf.book {missing}."


def test_effects_and_inbox_stand_or_fall_together(world: World, cast: Cast, new_book: NewBook) -> None:
    before = world.count("shelf.inbox")
    apply_events("shelf", [seen(uuid7(), 1, "poison")])
    assert world.count("shelf.inbox") == before


@pytest.fixture
def slow(world: World) -> Iterator[None]:
    """A replica named "slow" takes a minute to write; a statement of this thread has 0.3 s."""
    with world.superuser() as superuser:
        superuser.execute(
            "create function public.dawdle() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(60); return new; end $$"
        )
        superuser.execute(
            "create trigger dawdle before insert or update on shelf.account_replica"
            " for each row when (new.name = 'slow') execute function public.dawdle()"
        )
        connections["shelf"].close()
        with connections["shelf"].cursor() as cursor:
            cursor.execute("set statement_timeout = '300ms'")
        yield
        connections["shelf"].close()
        superuser.execute("drop function public.dawdle cascade")


@pytest.mark.usefixtures("slow")
def test_an_event_that_is_always_too_slow_fails_alone(world: World) -> None:
    good, bad = uuid7(), uuid7()
    events = [seen(good, 1, "one"), seen(bad, 1, "slow"), seen(good, 2, "two")]
    verdicts = apply_events("shelf", events)
    assert statuses(verdicts) == ["applied", "failed", "blocked"]
    assert verdicts[1].error is not None
    assert "statement timeout" in verdicts[1].error
    assert AccountReplica.objects.get(pk=good).name == "one"
    # What was not held behind it comes again, as the stream gives it.
    assert statuses(apply_events("shelf", [events[2]])) == ["applied"]
    assert AccountReplica.objects.get(pk=good).name == "two"
    assert not AccountReplica.objects.filter(pk=bad).exists()


def test_a_command_that_waits_too_long_for_a_lock_fails_its_event(world: World, cast: Cast, new_book: NewBook) -> None:
    locked, free = new_book(cast.alice)["id"], new_book(cast.alice)["id"]
    connections["shelf"].close()
    with connections["shelf"].cursor() as cursor:
        cursor.execute("set lock_timeout = '100ms'")
    with world.superuser() as holder, holder.transaction():
        holder.execute("select from shelf.book where id = %s for update", [locked])
        verdicts = apply_events("shelf", [wanted(free, "x"), wanted(locked, "y")])
    connections["shelf"].close()
    assert statuses(verdicts) == ["applied", "failed"]
    assert verdicts[1].error is not None
    assert "lock timeout" in verdicts[1].error


def test_an_administrator_who_ends_the_session_is_an_outage(world: World) -> None:
    """The handler's own statement meets it, as an event's fault would; yet nothing is parked."""
    account = uuid7()
    with world.superuser() as superuser:
        superuser.execute(
            "create function public.shut() returns trigger language plpgsql security definer as"
            " $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$"
        )
        superuser.execute(
            "create trigger shut before insert on shelf.account_replica for each row execute function public.shut()"
        )
        try:
            with pytest.raises(OperationalError):
                apply_events("shelf", [seen(account, 1, "one")])
        finally:
            connections["shelf"].close()
            superuser.execute("drop function public.shut cascade")
    assert statuses(apply_events("shelf", [seen(account, 1, "one")])) == ["applied"]


def test_an_outage_parks_nothing(world: World) -> None:
    """A database that goes away is no event's fault: the whole batch may be tried again."""
    account = uuid7()
    events = [seen(account, 1, "one"), seen(account, 2, "two")]
    settings = connections.settings["shelf"]
    connections["shelf"].close()
    real, settings["PORT"] = settings["PORT"], 1
    try:
        with pytest.raises(OperationalError):
            apply_events("shelf", events)
    finally:
        settings["PORT"] = real
        connections["shelf"].close()
    assert statuses(apply_events("shelf", events)) == ["applied", "applied"]
