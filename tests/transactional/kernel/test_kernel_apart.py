"""A service in a process of its own that stops, hangs, fails and comes back, as its callers meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.test import override_settings
from uuid_utils.compat import uuid7

from headwater.embedded.postgres import free_port
from headwater.state import PROJECT
from policy.principal import Principal
from tests.cast import Cast, Person, the_cast
from tests.stack import eventually
from tests.transactional.kernel.relay import Relay
from tests.world import World
from transactional.kernel import remote
from transactional.kernel.breaker import State
from transactional.kernel.calls import fetch, fetch_page, invoke
from transactional.kernel.context import Context
from transactional.kernel.limits import Limits
from transactional.kernel.problems import Problem, RemoteProblem, Unavailable

LIMITS = Limits(connect=5.0, read=10.0, deadline=30.0, failures=4, rest=3.0)
SHORT = replace(LIMITS, connect=0.5, read=0.6, deadline=3.0)
"""For a service that gives no answer; anything that does may take longer than that on a busy machine."""

UNHURRIED = 15.0
"""Seconds: more than any of ``SHORT``, less than a call without limits."""


class Contacts:
    """The service in a process of its own, on the world's database, always at the same address."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.transactional.served_process"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.transactional.settings"},
        )
        assert self._process.stdin
        json.dump(
            {
                "port": self._port,
                "database_port": self._world.cluster.port,
                "database": self._world.database,
                "passwords": self._world.config.passwords,
                "jwks": str(settings.HEADWATER_JWKS),
            },
            self._process.stdin,
        )
        self._process.stdin.close()
        eventually(self._answers)

    def signal(self, what: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(what)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/contacts/accounts", timeout=5).status_code == 401
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def contacts(world: World) -> Iterator[Contacts]:
    service = Contacts(world)
    service.start()
    yield service
    service.kill()


@pytest.fixture
def line(contacts: Contacts) -> Iterator[Relay]:
    """Every call goes over this wire; the breaker is new."""
    others = [service for service in settings.HEADWATER_SERVICES if service != "contacts"]
    with (
        Relay(contacts.url) as relay,
        override_settings(
            HEADWATER_SERVICES=others, HEADWATER_SERVICE_URLS={"contacts": relay.url}, HEADWATER_CALLS=LIMITS
        ),
    ):
        yield relay


@pytest.fixture
def direct(contacts: Contacts) -> Iterator[Callable[[Limits], None]]:
    """Calls go to the service itself; what it gives sets other limits, and with them a new breaker."""
    others = [service for service in settings.HEADWATER_SERVICES if service != "contacts"]
    with override_settings(HEADWATER_SERVICES=others, HEADWATER_SERVICE_URLS={"contacts": contacts.url}):

        def limited(limits: Limits) -> None:
            settings.HEADWATER_CALLS = limits

        limited(LIMITS)
        yield limited


@pytest.fixture
def cast(world: World) -> Cast:
    return the_cast("sales_rep")


def said(person: Person, **options: object) -> Context:
    return replace(person.ctx(**options), token=person.token)


def create(person: Person, name: str, **options: object) -> dict[str, object]:
    found: dict[str, object] = invoke("contacts.create_account", {"name": name}, said(person, **options)).data
    return found


def named(world: World, name: str) -> int:
    return int(world.rows("select count(*) as n from contacts.account where name = %s", [name])[0]["n"])


def refusal(call: Callable[..., object], *arguments: object, **options: object) -> Problem:
    with pytest.raises(Problem) as refused:
        call(*arguments, **options)
    return refused.value


def test_an_answer_lost_on_the_way_is_asked_for_again_under_its_key(world: World, cast: Cast, line: Relay) -> None:
    line.lose = 2
    answer = invoke("contacts.create_account", {"name": "Twice Ltd"}, said(cast.alice, idempotency_key=str(uuid4())))
    assert (answer.status, answer.replayed) == (201, True)
    assert [method for method, _, _ in line.seen] == ["POST"] * 3
    assert len({headers["Idempotency-Key"] for _, _, headers in line.seen}) == 1
    assert named(world, "Twice Ltd") == 1


def test_without_a_key_nothing_is_sent_twice(world: World, cast: Cast, line: Relay) -> None:
    line.lose = 1
    problem = refusal(create, cast.alice, "Once Ltd")
    assert isinstance(problem, Unavailable)
    assert "Whether it did what was asked is not known" in problem.detail
    assert len(line.seen) == 1
    assert named(world, "Once Ltd") == 1


def test_reads_are_attempted_three_times_and_no_more(world: World, cast: Cast, line: Relay) -> None:
    account = create(cast.alice, "Read Ltd")
    line.seen.clear()
    line.lose = 2
    assert fetch("contacts.account", account["account_uuid"], said(cast.alice))["name"] == "Read Ltd"
    assert len(line.seen) == 3
    line.lose = 3
    assert refusal(fetch_page, "contacts.account", {}, said(cast.alice)).status == 503
    assert len(line.seen) == 6


def test_refusals_are_answers_and_are_not_asked_for_again(world: World, cast: Cast, line: Relay) -> None:
    """Alice may, Bob may not, Charlie does not learn that it exists: the other side looks at the token itself."""
    account = create(cast.alice, "Rights Ltd")
    line.seen.clear()
    change = {"account_uuid": account["account_uuid"], "name": "Mine"}
    for person, status in ((cast.bob, 403), (cast.charlie, 404)):
        for _ in range(LIMITS.failures + 1):
            problem = refusal(invoke, "contacts.update_account", change, said(person, idempotency_key=str(uuid4())))
            assert isinstance(problem, RemoteProblem)
            assert problem.status == status
    assert len(line.seen) == 2 * (LIMITS.failures + 1)
    assert remote.states()["contacts"] is State.CLOSED
    assert invoke("contacts.update_account", change, said(cast.alice)).data["name"] == "Mine"
    forged = replace(cast.bob.ctx(), actor=cast.alice.principal, token=cast.bob.token)
    assert refusal(invoke, "contacts.update_account", change, forged).status == 403, "the token counts, not the caller"
    nobody = replace(cast.alice.ctx(), token=None)
    assert refusal(fetch, "contacts.account", account["account_uuid"], nobody).status == 401


def test_who_and_on_whose_behalf_travel_along(world: World, cast: Cast, line: Relay) -> None:
    agent = Person(Principal(uuid7(), "saga", frozenset({"admin"}), on_behalf_of=cast.alice.id))
    meddler = Person(Principal(uuid7(), "meddler", frozenset(), on_behalf_of=cast.alice.id))
    ctx = said(agent, reason="Asked by telephone")
    invoke("contacts.create_account", {"name": "Behalf Ltd"}, ctx)
    assert refusal(invoke, "contacts.update_account", {"account_uuid": str(uuid4())}, said(meddler)).status == 403
    refused = world.rows("select * from contacts.access_log where actor_id = %s", [meddler.id])
    assert [(row["kind"], row["on_behalf_of"]) for row in refused] == [("refused", cast.alice.id)]
    _, _, headers = line.seen[0]
    assert headers["Request-Id"] == str(ctx.request_id)
    assert headers["Headwater-Reason"] == "Asked by telephone"
    assert headers["Authorization"] == f"Bearer {ctx.token}"


def test_a_service_that_is_down_costs_little_and_comes_back(
    world: World, cast: Cast, contacts: Contacts, direct: Callable[[Limits], None]
) -> None:
    key = str(uuid4())
    contacts.kill()
    before = remote.counts()
    problem = refusal(create, cast.alice, "Back Ltd", idempotency_key=key)
    assert remote.counts()["contacts", "failed"] - before.get(("contacts", "failed"), 0) == remote.ATTEMPTS
    assert (problem.status, problem.extra["service"]) == (503, "contacts")
    assert int(problem.headers["Retry-After"]) >= 1
    before = remote.counts()
    while remote.states()["contacts"] is State.CLOSED:
        refusal(create, cast.alice, "Back Ltd", idempotency_key=key)
    refused = refusal(create, cast.alice, "Back Ltd", idempotency_key=key)
    assert "left alone" in refused.detail
    after = remote.counts()
    assert after["contacts", "failed"] - before["contacts", "failed"] == LIMITS.failures - remote.ATTEMPTS
    contacts.start()
    made = eventually(lambda: attempt(lambda: create(cast.alice, "Back Ltd", idempotency_key=key)))
    assert made["name"] == "Back Ltd"
    assert remote.states()["contacts"] is State.CLOSED
    assert named(world, "Back Ltd") == 1


def test_a_service_that_hangs_is_left_in_time(
    world: World, cast: Cast, contacts: Contacts, direct: Callable[[Limits], None]
) -> None:
    account = create(cast.alice, "Slow Ltd")["account_uuid"]
    direct(SHORT)
    with contacts.hanging():
        began = time.monotonic()
        assert refusal(fetch, "contacts.account", account, said(cast.alice)).status == 503
        assert SHORT.read <= time.monotonic() - began < UNHURRIED
        direct(replace(SHORT, deadline=1.0))
        for key in (None, str(uuid4())):
            before, began = remote.counts(), time.monotonic()
            assert refusal(create, cast.alice, "Hung Ltd", idempotency_key=key).status == 503
            assert 1.0 <= time.monotonic() - began < UNHURRIED
            failed = remote.counts()["contacts", "failed"] - before["contacts", "failed"]
            assert failed == 1, "one deadline, whatever is tried within it"
    direct(LIMITS)
    assert eventually(lambda: attempt(lambda: fetch("contacts.account", account, said(cast.alice))))
    eventually(lambda: named(world, "Hung Ltd") == 2, what="the hung requests were read once each, and no more")


def test_a_service_with_faults_is_left_alone_and_taken_back(
    world: World, cast: Cast, contacts: Contacts, line: Relay
) -> None:
    """A 500 is no reason to ask again at once, and after some in a row nobody asks for a while."""
    with world.superuser() as database:
        database.execute("alter table contacts.account rename to account_away")
        try:
            for _ in range(LIMITS.failures):
                problem = refusal(fetch_page, "contacts.account", {}, said(cast.alice))
                assert (problem.status, problem.extra["service"]) == (503, "contacts")
                assert "answered 500" in problem.detail
            assert len(line.seen) == LIMITS.failures
            assert remote.states()["contacts"] is State.OPEN
            assert "left alone" in refusal(fetch_page, "contacts.account", {}, said(cast.alice)).detail
            assert len(line.seen) == LIMITS.failures, "nobody was asked"
            eventually(lambda: "answered 500" in refusal(fetch_page, "contacts.account", {}, said(cast.alice)).detail)
            assert remote.states()["contacts"] is State.OPEN, "the probe failed"
        finally:
            database.execute("alter table contacts.account_away rename to account")
    eventually(lambda: attempt(lambda: fetch_page("contacts.account", {}, said(cast.alice))))
    assert remote.states()["contacts"] is State.CLOSED


def attempt(call: Callable[[], object]) -> object:
    """What the call gives; None while the service is unavailable."""
    try:
        return call()
    except Unavailable:
        return None
