"""Who sees the Stream page and who replays; what it says of a state, and that one part's failure leaves the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from bi.warehouse import WarehouseUnavailable
from tests.cast import Person, the_cast
from tests.world import World
from web import session
from web.stream import view_models, views
from web.stream.port import Change, Parked, Process, Queue, Source, State, Tick

NOW = datetime.now(UTC)
EVENT = Parked("event", '["finance", "e1"]', "ACCOUNT_CREATED of account a1", "finance", 3, 6, NOW, "<b>too large</b>")
ROW = Parked("outbox", '["headwater", "o1"]', "outbox row o1", "contacts", 1, None, NOW, "no type", replayable=False)


class Known:
    """An installation that stands still."""

    def __init__(self) -> None:
        self.silent = False
        self.dagster: str | None = "http://127.0.0.1:9"
        self.items = [EVENT, ROW]
        self.replayed: list[tuple[str, str]] = []
        self.changes: list[Change] = []

    def state(self) -> State:
        return State(
            NOW,
            sources=[Source("headwater", "landing", True, "streaming", "0/1A2B", 10, 2048, 0.4, None)],
            queues=[
                Queue("refresh", "batches", 0, 0.0),
                Queue("segments", "batches", 0, 0.0),
                Queue("finance", "events", 3, 90.0, 0, 1),
            ],
            processes=[
                Process("landing", "running", 1 << 20, 61.0, 2, NOW - timedelta(seconds=9), "SIGKILL", 0.4, None),
                Process("refresh", "waiting", None, None, 5, NOW, "exit 1", None, None),
            ],
            dagster=self.dagster,
        )

    def passing(self, limit: int) -> list[Change]:
        self._asked()
        return self.changes

    def ticks(self) -> list[Tick]:
        self._asked()
        return [Tick(NOW + timedelta(seconds=10 * n), n, 0.1 * n) for n in range(60)]

    def parked(self) -> list[Parked]:
        self._asked()
        return self.items

    def replay(self, kind: str, key: str) -> str:
        if (kind, key) not in {(item.kind, item.key) for item in self.items}:
            raise LookupError("This is not parked any more.")
        self.items = [item for item in self.items if (item.kind, item.key) != (kind, key)]
        self.replayed.append((kind, key))
        return "Given again."

    def _asked(self) -> None:
        if self.silent:
            raise WarehouseUnavailable("refused")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    made = Known()
    monkeypatch.setattr(views, "operations", lambda: made)
    return made


@pytest.fixture
def as_(monkeypatch: pytest.MonkeyPatch) -> Callable[[Person], Client]:
    """A browser in which somebody is logged in; forms are as genuine as pages make them."""

    def browser(person: Person) -> Client:
        reader = session.Reader(person.principal, person.principal.name, person.token)
        monkeypatch.setattr(session, "reader_of", lambda request: reader)
        return Client()

    return browser


def text(response: HttpResponse) -> str:
    return response.content.decode()


def test_an_auditor_reads_and_an_administrator_replays(
    world: World, known: Known, as_: Callable[[Person], Client]
) -> None:
    cast = the_cast("auditor", bobs_role="sales_manager")
    page = as_(cast.alice).get("/stream")
    assert page.status_code == 200
    assert "ACCOUNT_CREATED of account a1" in text(page)
    assert "an administrator replays" in text(page)
    assert 'action="/stream/replay"' not in text(page)
    for nobody in (cast.bob, the_cast("sales_rep").charlie):
        assert [as_(nobody).get(path).status_code for path in ("/stream", "/stream/live")] == [403, 403]
        assert 'data-go="s"' not in text(as_(nobody).get("/stream"))
    assert 'action="/stream/replay"' in text(as_(cast.admin).get("/stream"))


def test_a_replay_is_refused_or_done_and_noted_either_way(
    world: World, known: Known, as_: Callable[[Person], Client]
) -> None:
    cast = the_cast("auditor")
    form = {"kind": "event", "key": EVENT.key}
    assert as_(cast.alice).post("/stream/replay", form).status_code == 403
    assert as_(cast.bob).post("/stream/replay", form).status_code == 403
    assert known.replayed == []
    done = as_(cast.admin).post("/stream/replay", form, headers={"HW-Fragment": "1"})
    assert done.status_code == 200
    assert "Given again." in text(done)
    assert known.replayed == [("event", EVENT.key)]
    notes = world.rows(
        "select kind, actor_name, action, resource, resource_id, detail from identity.access_log"
        " where action = 'stream.replay' order by at"
    )
    assert [(note["kind"], note["actor_name"], note["detail"]) for note in notes] == [
        ("refused", cast.alice.principal.name, "no permission"),
        ("replay", cast.admin.principal.name, "Given again."),
    ]
    assert {(note["resource"], note["resource_id"]) for note in notes} == {("stream.event", EVENT.key)}


def test_what_is_not_parked_any_more_is_said_and_all_takes_what_can_be_replayed(
    world: World, known: Known, as_: Callable[[Person], Client]
) -> None:
    admin = as_(the_cast("auditor").admin)
    gone = admin.post("/stream/replay", {"kind": "event", "key": "[]"}, headers={"HW-Fragment": "1"})
    assert "not parked any more" in text(gone)
    everything = admin.post("/stream/replay", {"kind": "all"})
    assert (everything.status_code, everything["Location"]) == (303, "/stream")
    assert known.replayed == [("event", EVENT.key)]
    assert known.items == [ROW]


def test_readers_lead_to_their_assets_in_dagster_where_it_runs(
    world: World, known: Known, as_: Callable[[Person], Client]
) -> None:
    admin = as_(the_cast("auditor").admin)
    linked = text(admin.get("/stream"))
    for address in ("asset-groups", "assets/log/change_log", "assets/ops/model_state"):
        assert linked.count(f'href="http://127.0.0.1:9/{address}"') == 1
    assert linked.count('href="http://127.0.0.1:9/') == 3
    known.dagster = None
    alone = text(admin.get("/stream"))
    assert "Dagster" not in alone
    assert "headwater → landing" in alone


def test_a_silent_warehouse_leaves_the_rest_of_the_page(
    world: World, known: Known, as_: Callable[[Person], Client]
) -> None:
    known.silent = True
    said = text(as_(the_cast("auditor").admin).get("/stream"))
    assert said.count("The warehouse gives no answer") == 3
    assert "A database gives no answer" in said
    assert "SIGKILL" in said
    assert "headwater → " in said


def test_one_sees_ones_own_change_and_no_markup_of_others(
    world: World, known: Known, as_: Callable[[Person], Client]
) -> None:
    admin = the_cast("auditor").admin
    known.changes = [
        Change("headwater", "contacts.account", str(admin.id), "u", "contacts.update_account", who, key, NOW, lag)
        for who, key, lag in (("admin", str(admin.id), 0.034), ("<script>", None, 7.0))
    ]
    said = text(as_(admin).get("/stream"))
    assert said.count('class="mine"') == 1
    assert f'href="/accounts/{admin.id}"' in said
    assert "34 ms" in said
    assert 'class="figure late">7.0 s' in said
    assert "<script>" not in said.partition("<body>")[2]
    assert "&lt;b&gt;too large&lt;/b&gt;" in said


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "Flowing"),
        ({"problems": ["warehouse: refused"]}, "Blind"),
        ({"sources": [Source("headwater", "landing", False, "stopped", None, 1, 1, None, "gap")]}, "Stopped"),
        ({"queues": [Queue("refresh", "batches", 4, 61.0)]}, "Behind"),
        ({"processes": [Process("jobs", "waiting", None, None, 1, NOW, "exit 1", None, None)]}, "Stopped"),
    ],
)
def test_the_page_in_one_word(changes: dict[str, Any], word: str) -> None:
    assert view_models.verdict(State(NOW, **changes), []).word == word
    if word == "Flowing":
        assert view_models.verdict(State(NOW), [EVENT]).word == "Needs somebody"


def test_the_sparkline_is_drawn_from_zero_and_every_bar_stands_in_the_table() -> None:
    ticks = [Tick(NOW + timedelta(seconds=10 * n), count, 0.0) for n, count in enumerate((0, 5, 10, 1000, 20, 0))]
    spark = view_models.spark(ticks)
    heights = [bar.height for bar in spark.bars]
    assert heights[0] == heights[5] == 0
    assert heights[3] == max(heights) == spark.height - 2
    assert all(height >= 1 for height in heights[1:5])
    assert [tick.changes for tick in spark.rows] == [20, 1000, 10, 5]
    assert (spark.peak, spark.total, spark.rate) == (1000, 1035, 2.0)
    assert view_models.spark([Tick(NOW, 0, 0.0)] * 60).peak == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "0 ms"), (0.034, "34 ms"), (2.14, "2.1 s"), (60, "1 min"), (5400, "1.5 h"), (172800, "2 d")],
)
def test_durations_read_as_people_say_them(seconds: float | None, words: str) -> None:
    assert view_models.duration(seconds) == words
