"""Connectors over Connect's REST interface: what applies, what is refused and why, what goes on after a death."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import Message

from cdc import readiness, topics
from cdc.connect import Connect, cause
from cdc.connectors import PLUGIN, VERSION, Topic, changes_topic, messages_topic, outbox_topic
from cdc.errors import (
    ConnectFailed,
    ConnectorMissing,
    ConnectUnavailable,
    InvalidDefinition,
    PluginIncompatible,
    PluginMissing,
    PublicationMismatch,
    SlotInUse,
    SlotMissing,
    TopicMismatch,
)
from cdc.kafka_errors import KafkaUnavailable
from cdc.keeper import BACK_OFF, Keeper
from cdc.slots import drop_slot
from headwater.embedded.postgres import free_port
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop, payload
from tests.stack import eventually


@contextmanager
def answering_worker(body: bytes, *, refusals: int = 0) -> Iterator[str]:
    """The address of a server that knows no path at first, and then answers ``body``."""
    answers = iter([(404, "text/html", b"<h1>404</h1>")] * refusals)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, said = next(answers, (200, "application/json", body))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def restarts_in_vain(shop: Shop, keeper: Keeper, connector: str, now: list[float]) -> int:
    """How often the keeper restarts before it gives up. Connect only queues a restart, and tells of the old failure
    until it has begun: the clock goes on once it has failed too."""
    restarts = 0

    def failed_again(got: list[Message]) -> bool:
        told = [json.loads(m.value() or b"{}") for m in got if m.key() == f"status-task-{connector}-0".encode()]
        states = [status.get("state") for status in told]
        return states.count("RESTARTING") == restarts and states[-1] == "FAILED"

    def given_up() -> bool:
        nonlocal restarts
        said = keeper.tick().get(connector, "")
        if "was restarted" in said:
            restarts += 1
            shop.read("headwater.connect.status", failed_again)
        if "is restarted in" in said:
            now[0] += BACK_OFF[-1] + 0.1
        return "did not help" in said

    eventually(given_up, 240, "the keeper to give up")
    return restarts


def insert(shop: Shop, first: int, last: int) -> None:
    shop.database.run(f"insert into shop.item select n, 'item', 12.50 from generate_series({first}, {last}) n")


def ids(shop: Shop, last: int) -> list[int]:
    """The ids that the topic has, in order, once it has all from 1 to ``last``."""

    def found(got: list) -> list[int]:
        return [payload(message)["after"]["id"] for message in got]

    wanted = set(range(1, last + 1))
    return sorted(found(shop.read(changes_topic(shop.source.name), lambda got: wanted <= set(found(got)))))


@contextmanager
def one_worker_less(plant: Plant, name: str) -> Iterator[None]:
    plant.kill(name)
    try:
        yield
    finally:
        plant.start(name)


def test_a_connector_is_made_once_changed_and_goes_on_where_it_was(shop: Shop, connect: Connect) -> None:
    definition = shop.changes()
    shop.start(definition)
    insert(shop, 1, 3)
    assert ids(shop, 3) == [1, 2, 3]
    assert connect.put(definition) is False
    assert connect.put(shop.changes(**{"max.batch.size": "4096"})) is True

    def changed() -> bool:
        """The worker that is asked reads it some time after the one that stored it."""
        return (connect.config(definition.name) or {}).get("max.batch.size") == "4096"

    eventually(changed, 120, "the other setting")
    insert(shop, 4, 5)
    assert sorted(set(ids(shop, 5))) == [1, 2, 3, 4, 5]
    eventually(lambda: connect.offsets(definition.name), 120, "stored offsets")
    connect.delete(definition.name)
    assert connect.config(definition.name) is None
    with pytest.raises(ConnectorMissing, match="connectors apply"):
        connect.pause(definition.name)
    insert(shop, 6, 6)
    shop.start(definition)
    assert sorted(set(ids(shop, 6))) == [1, 2, 3, 4, 5, 6]


def test_values_that_defaults_lose_arrive(shop: Shop, connect: Connect) -> None:
    """NULL where the column has a default, decimals to the digit, a truncation, messages in a topic of their own."""
    shop.database.run(
        "alter table shop.item alter column name set default 'unnamed'",
        "insert into shop.item values (1, null, 12.5000), (2, 'x', 'NaN')",
        "select pg_logical_emit_message(true, 'headwater.audit', '{}')",
        "select pg_logical_emit_message(true, 'somebody.else', '{}')",
        "truncate shop.item",
    )
    shop.start(shop.changes())
    got = shop.read(changes_topic(shop.source.name), lambda found: len(found) == 3)
    by_op = {payload(message)["op"]: message for message in got}
    after = [payload(message)["after"] for message in got if payload(message)["op"] == "c"]
    assert sorted((row["id"], row["name"], row["price"]) for row in after) == [(1, None, "12.5000"), (2, "x", "NAN")]
    assert by_op["t"].key() is None
    (message,) = shop.read(messages_topic(shop.source.name), lambda found: len(found) >= 1)
    assert payload(message)["message"]["prefix"] == "headwater.audit"


def test_pause_holds_back_and_resume_lets_go(shop: Shop, connect: Connect) -> None:
    definition = shop.changes()
    shop.start(definition)
    connect.pause(definition.name)
    eventually(lambda: connect.status(definition.name).tasks[0].state == "PAUSED", 120, "a paused task")
    insert(shop, 1, 1)
    with pytest.raises(AssertionError, match="enough of"):
        shop.read(changes_topic(shop.source.name), bool, timeout=3)  # many times what a task takes that runs
    connect.resume(definition.name)
    assert ids(shop, 1) == [1]
    eventually(lambda: connect.status(definition.name).running, 120, "a running task")
    connect.restart(definition.name)
    insert(shop, 2, 2)
    assert set(ids(shop, 2)) == {1, 2}


def test_offsets_change_only_while_the_connector_is_stopped(shop: Shop, connect: Connect) -> None:
    definition = shop.changes()
    shop.start(definition)
    insert(shop, 1, 1)
    ids(shop, 1)
    stored = eventually(lambda: connect.offsets(definition.name), 120, "stored offsets")
    with pytest.raises(ConnectFailed, match="STOPPED"):
        connect.alter_offsets(definition.name, stored)
    connect.stop(definition.name)
    eventually(lambda: connect.status(definition.name).state == "STOPPED", 120, "a stopped connector")
    connect.alter_offsets(definition.name, stored)
    connect.delete_offsets(definition.name)
    assert connect.offsets(definition.name) == []


def test_nobody_reads_the_password_from_connect(shop: Shop, plant: Plant, connect: Connect) -> None:
    secret = (plant.secrets / shop.source.name).read_text()
    definition = shop.changes()
    shop.start(definition)
    config = connect.config(definition.name)
    assert config is not None
    assert config["database.password"].startswith("${secrets:")
    assert secret not in [value for name, value in config.items() if name != "database.user"]
    stored = shop.read("headwater.connect.configs", lambda got: any(definition.name in str(m.key()) for m in got))
    own = [message.value() or b"" for message in stored if definition.name in str(message.key())]
    assert not any(f'"database.password":"{secret}"'.encode() in value for value in own)
    assert "password" not in repr(shop.source)


@pytest.mark.parametrize(
    ("settings", "setting", "said"),
    [
        ({"database.port": "1"}, "database.hostname", "refused"),
        ({"database.dbname": "nowhere"}, "database.hostname", 'database "nowhere" does not exist'),
        ({"max.batch.size": "many"}, "max.batch.size", "integer"),
        ({"transforms.changes.type": "org.example.None"}, "transforms.changes.type", "could not be found"),
    ],
)
def test_settings_that_cannot_work_are_named(
    shop: Shop, connect: Connect, settings: dict[str, str], setting: str, said: str
) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        connect.put(shop.changes(**settings))
    assert said in refused.value.problems[setting]
    assert connect.config(shop.changes().name) is None


def test_a_wrong_password_is_refused_and_changes_nothing(shop: Shop, plant: Plant, connect: Connect) -> None:
    shop.start(shop.changes())
    wrong = plant.secret(f"{shop.source.name}_wrong", "not this one")
    with pytest.raises(InvalidDefinition, match="password authentication failed") as refused:
        connect.put(shop.changes(**{"database.password": wrong}))
    assert "not this one" not in str(refused.value)
    insert(shop, 1, 1)
    assert ids(shop, 1) == [1]


def test_an_unknown_or_another_plugin_is_named(shop: Shop, connect: Connect) -> None:
    with pytest.raises(PluginMissing, match="PostgresConnector"):
        connect.put(shop.changes(**{"connector.class": "org.example.None"}))
    connect.require_plugin(PLUGIN, VERSION)
    with pytest.raises(PluginIncompatible, match=r"have .* 3\.7\.0\.Final, and the settings are for 4\.1"):
        connect.require_plugin(PLUGIN, "4.1")


def test_no_worker_that_answers_is_named(plant: Plant) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with Connect([nobody]) as client, pytest.raises(ConnectUnavailable, match=re.escape(nobody)):
        client.names()
    with Connect([nobody, plant.connect_url]) as client:
        assert isinstance(client.names(), list)


def test_workers_that_are_still_starting_are_waited_for() -> None:
    """Such a worker is to be had for seconds only, so this one is none: it says what they say (404, and no JSON)."""
    with answering_worker(b'["one"]', refusals=3) as url:
        with Connect([url], patience=0.0) as hurried, pytest.raises(ConnectUnavailable, match="it is starting"):
            hurried.names()
        with Connect([url]) as client:
            assert client.names() == ["one"]


def test_offsets_that_are_being_forgotten_are_left_out() -> None:
    """For a moment a worker knows whose they were and no more, as this one says for ever."""
    gone, kept = {"partition": {"server": "hw.gone"}, "offset": None}, {"partition": {}, "offset": {"lsn": 7}}
    with answering_worker(json.dumps({"offsets": [gone, kept]}).encode()) as url, Connect([url]) as client:
        assert client.offsets("hw.some.changes") == [({}, {"lsn": 7})]


def test_a_database_that_is_not_ready_is_refused_before_a_connector_is_made(shop: Shop) -> None:
    def check() -> None:
        source = shop.source
        readiness.check(shop.database.dsn, source.name, slot=source.slot, publication=source.publication)

    def is_free() -> bool:
        try:
            check()
        except SlotInUse:
            return False
        return True

    check()
    reader = shop.database.source(slot=shop.source.slot, publications=["pub_all"])
    reader.start(None)
    with pytest.raises(SlotInUse, match="pg_terminate_backend"):
        check()
    reader.close()
    eventually(is_free, 120, "a free slot")
    shop.start(shop.changes())
    check()  # its own connector may read it
    shop.connect.delete(shop.changes().name)
    shop.database.run("drop publication pub_all")
    with pytest.raises(PublicationMismatch, match="pub_all"):
        check()
    shop.database.run("create publication pub_all for table shop.item, shop.outbox")
    drop_slot(shop.database.dsn, shop.source.slot, timeout=120)  # its connector's task has yet to leave it
    with pytest.raises(SlotMissing, match=shop.source.slot):
        check()


def test_topics_are_made_once_and_keep_their_partitions(shop: Shop, plant: Plant) -> None:
    wanted = shop.changes().topics
    assert topics.missing(shop.source.name, plant.bootstrap, wanted) == list(wanted)
    assert topics.ensure(shop.source.name, plant.bootstrap, wanted) == list(wanted)
    assert topics.ensure(shop.source.name, plant.bootstrap, wanted) == []
    other = Topic(wanted[0].name, 7, 1)
    with pytest.raises(TopicMismatch, match="has 2 partitions, and 7"):
        topics.ensure(shop.source.name, plant.bootstrap, [other])
    assert plant.topics[other.name] == 2
    assert topics.ends(shop.source.name, plant.bootstrap, [(other.name, 1)]) == {(other.name, 1): 0}
    topics.remove(shop.source.name, plant.bootstrap, wanted)
    topics.remove(shop.source.name, plant.bootstrap, wanted)
    assert plant.topics.keys().isdisjoint(topic.name for topic in wanted)


def test_a_topic_that_was_just_made_has_an_end(plant: Plant) -> None:
    """The cluster shows a topic before each of its partitions has a leader; seen ten times of ten with so many."""
    made = Topic("hw.justmade.changes", 100, 1)
    topics.ensure("justmade", plant.bootstrap, [made])
    places = [(made.name, number) for number in range(made.partitions)]
    assert topics.ends("justmade", plant.bootstrap, places) == dict.fromkeys(places, 0)
    topics.remove("justmade", plant.bootstrap, [made])


def test_no_broker_that_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "TIMEOUT", 1.0)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaUnavailable, match=nobody):
        topics.ensure("shop", nobody, [Topic("any", 1, 1)])


def test_a_failed_task_runs_again_once_its_cause_is_mended(shop: Shop, connect: Connect) -> None:
    definition = shop.changes(**{"publication.name": "pub_later"})
    shop.apply(definition)
    failed = eventually(lambda: (s := shop.status(definition)).failed and s, 120, "a failed task")
    assert failed.causes == ["Publication autocreation is disabled, please create one and restart the connector."]
    now = [0.0]
    keeper = Keeper(connect, [definition.name], clock=lambda: now[0])
    assert "restarted in 1 s" in keeper.tick()[definition.name]
    assert "restarted in 1 s" in keeper.tick()[definition.name]
    assert restarts_in_vain(shop, keeper, definition.name, now) == len(BACK_OFF)
    assert f"{len(BACK_OFF)} restarts did not help: Publication" in keeper.tick()[definition.name]
    shop.database.run("create publication pub_later for table shop.item")
    connect.restart(definition.name)
    eventually(lambda: connect.status(definition.name).running, 120, "the mended connector to run")
    insert(shop, 1, 1)
    assert ids(shop, 1) == [1]
    assert keeper.tick() == {}


def test_a_task_that_failed_while_its_database_is_away_waits_for_it_however_long(shop: Shop, connect: Connect) -> None:
    definition = shop.changes(**{"publication.name": "pub_later"})
    shop.apply(definition)
    eventually(lambda: shop.status(definition).failed, 120, "a failed task")
    now, away = [0.0], [False]
    keeper = Keeper(connect, [definition.name], clock=lambda: now[0], answers=lambda _: not away[0])
    restarts_in_vain(shop, keeper, definition.name, now)
    away[0] = True
    now[0] += 3600
    assert "once its database answers" in keeper.tick()[definition.name]
    shop.database.run("create publication pub_later for table shop.item")
    away[0] = False
    assert "restarted in 1 s" in keeper.tick()[definition.name]
    now[0] += 1.1
    assert "restarted" in keeper.tick()[definition.name]
    eventually(lambda: connect.status(definition.name).running, 120, "the connector to run without anybody's help")
    insert(shop, 1, 1)
    assert ids(shop, 1) == [1]


def test_a_lost_slot_fails_the_connector_and_is_not_made_anew(shop: Shop, connect: Connect) -> None:
    definition = shop.changes()
    shop.start(definition)
    insert(shop, 1, 1)
    ids(shop, 1)
    eventually(lambda: connect.offsets(definition.name), 120, "stored offsets")
    connect.stop(definition.name)
    eventually(lambda: connect.status(definition.name).state == "STOPPED", 120, "a stopped connector")
    drop_slot(shop.database.dsn, shop.source.slot, timeout=120)
    insert(shop, 2, 2)
    connect.resume(definition.name)
    status = eventually(lambda: (s := connect.status(definition.name)).failed and s, 120, "a failed task")
    assert "no longer available on the server" in status.causes[0]
    with pytest.raises(SlotMissing):
        readiness.check(shop.database.dsn, shop.source.name, slot=shop.source.slot, publication=shop.source.publication)


def test_events_go_on_when_the_worker_that_reads_them_is_killed(shop: Shop, plant: Plant, connect: Connect) -> None:
    definition = shop.changes()
    shop.start(definition)
    insert(shop, 1, 100)
    ids(shop, 100)
    worker = connect.status(definition.name).tasks[0].worker
    name = next(name for name, candidate in plant.workers.items() if candidate.url.endswith(worker))
    with one_worker_less(plant, name):
        insert(shop, 101, 200)
        assert set(ids(shop, 200)) == set(range(1, 201))


def test_events_go_on_when_the_broker_is_killed(shop: Shop, plant: Plant) -> None:
    shop.start(shop.changes())
    insert(shop, 1, 100)
    ids(shop, 100)
    plant.kill("broker")
    insert(shop, 101, 200)
    plant.start("broker")
    assert set(ids(shop, 200)) == set(range(1, 201))


def test_the_slot_follows_while_only_another_database_writes(shop: Shop) -> None:
    shop.start(shop.changes(**{"heartbeat.interval.ms": "500"}))
    with shop.database.cluster.connect() as elsewhere:
        elsewhere.execute("select pg_logical_emit_message(false, 'elsewhere', repeat('x', 100000))")
        row = elsewhere.execute("select pg_current_wal_lsn()::text").fetchone()
        assert row is not None

        def passed() -> bool:
            found = elsewhere.execute(
                "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s",
                [row[0], shop.source.slot],
            ).fetchone()
            return bool(found and found[0])

        eventually(passed, 120, "the slot to pass what another database wrote")


def test_outbox_events_keep_every_byte_and_say_what_they_are(shop: Shop) -> None:
    shop.start(shop.outbox())
    text = '{"b": 12.50, "a": "é \\"quoted\\" \\n", "big": 123456789012345678901234567890.10, "none": null}'
    shop.database.run(
        "insert into shop.outbox values ('018f0000-0000-7000-8000-000000000001', 'shop.item',"
        " '018f0000-0000-7000-8000-000000000002', 7, 'ITEM_MADE', 2, '" + text + "', '2026-01-02 03:04:05.678901+00',"
        " null, '018f0000-0000-7000-8000-000000000003', null)",
        "delete from shop.outbox",
        "insert into shop.outbox values ('018f0000-0000-7000-8000-000000000009', 'shop.item',"
        " '018f0000-0000-7000-8000-000000000002', 8, 'ITEM_GONE', 2, '[]', now(), null, null, null)",
    )
    got = shop.read(outbox_topic(shop.source.name), lambda found: len(found) >= 2)
    assert len(got) == 2
    first = got[0]
    stored = shop.database.run("select '" + text + "'::jsonb::text")[0][0]
    assert (first.value() or b"").decode() == stored
    assert first.key() == b"018f0000-0000-7000-8000-000000000002"
    assert dict(first.headers() or []) == {
        "producer": b"shop",
        "id": b"018f0000-0000-7000-8000-000000000001",
        "type": b"ITEM_MADE",
        "aggregate_type": b"shop.item",
        "aggregate_version": b"7",
        "schema_version": b"2",
        "occurred_at": b"2026-01-02T03:04:05.678901Z",
        "causation_id": None,
        "correlation_id": b"018f0000-0000-7000-8000-000000000003",
        "actor_id": None,
        "traceparent": None,
    }


def test_the_innermost_cause_of_a_trace_is_what_is_said() -> None:
    trace = "a.B: outer\n\tat x\nCaused by: c.D: middle\n\tat y\n\t... 3 more\nCaused by: e.F: the slot is gone\n\tat z"
    assert cause(trace) == "the slot is gone"
    assert cause("") == ""
