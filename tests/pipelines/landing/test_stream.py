"""Row changes reach mirror and change log, each once, in the order they were made."""

from __future__ import annotations

import json

import pytest

from tests.pipelines.landing.stage import Stage

ACCOUNT = """
create schema contacts;
create table contacts.account (
  id uuid primary key default gen_random_uuid(), name text, revenue numeric(19,4), custom jsonb default '{}',
  updated_at timestamptz default now());
alter table contacts.account replica identity full
"""
PAIR = """
create schema contacts;
create table contacts.pair (a int, b text, value text, primary key (b, a));
alter table contacts.pair replica identity full
"""
# Long, incompressible and so kept out of line: an update of another column does not carry it in the WAL.
BIG = "select string_agg(md5((n * {})::text), '') from generate_series(1, 400) n"


def change_log(
    stage: Stage, table: str
) -> list[tuple[str, dict[str, str], dict[str, str] | None, dict[str, str] | None]]:
    return stage.target.run(
        "select op::text, key, before, after from log.change_log where table_name = %s order by lsn, seq",
        parameters=[table],
    )


def test_insert_update_delete_reach_the_mirror_and_the_change_log(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    stage.database.run(
        "insert into contacts.account (name, revenue) select 'Acme ' || n, n from generate_series(1, 100) n",
        "update contacts.account set name = name || ' GmbH' where revenue < 50",
        "delete from contacts.account where revenue > 90",
    )
    stage.caught_up()
    stage.assert_equal("contacts.account")
    stage.assert_each_change_once()
    counts = stage.target.run("select op::text, count(*) from log.change_log group by op order by op::text")
    assert counts == [("c", 100), ("d", 10), ("u", 49)]


def test_images_hold_text_forms_of_what_stood_before_and_after(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    key = "00000000-0000-7000-8000-000000000001"
    stage.database.run(
        "insert into contacts.account (id, name, revenue, updated_at)"
        f" values ('{key}', E'tab\\tquote\"back\\\\ \\n', 12.5, null)",
        "update contacts.account set name = null, revenue = 'NaN'",
    )
    stage.caught_up()
    first = {"id": key, "name": 'tab\tquote"back\\ \n', "revenue": "12.5000", "custom": "{}", "updated_at": None}
    second = first | {"name": None, "revenue": "NaN"}
    assert change_log(stage, "account") == [
        ("c", {"id": key}, None, first),
        ("u", {"id": key}, first, second),
    ]
    stage.assert_equal("contacts.account")


def test_a_deleted_row_stays_flagged_with_its_last_values(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    stage.database.run("insert into contacts.account (name) values ('Gone')", "delete from contacts.account")
    stage.caught_up()
    assert stage.target.run("select name, _deleted from raw_contacts.account") == [("Gone", True)]


def test_a_changed_key_deletes_the_old_row_and_writes_the_new_one(stage: Stage) -> None:
    stage.prepare(PAIR, publish=("contacts.pair",))
    stage.streaming()
    stage.database.run(
        "insert into contacts.pair values (1, 'x', 'one'), (2, 'x', 'two')",
        "update contacts.pair set b = 'y' where a = 1",
        # A swap inside one transaction goes through a key that exists for a moment only.
        "begin; update contacts.pair set a = 9 where a = 2;"
        " update contacts.pair set a = 2, b = 'y' where a = 9; commit",
    )
    stage.caught_up()
    stage.assert_equal("contacts.pair")
    gone = stage.target.run("select b, a from raw_contacts.pair where _deleted order by b, a")
    assert gone == [("x", 1), ("x", 2), ("x", 9)]


@pytest.mark.parametrize("identity", ["full", "default"])
def test_a_value_that_the_stream_leaves_out_keeps_what_is_stored(stage: Stage, identity: str) -> None:
    stage.prepare(
        "create schema contacts; create table contacts.note (id int primary key, title text, body text);"
        " alter table contacts.note alter body set storage external;"
        f" alter table contacts.note replica identity {identity}",
        publish=("contacts.note",),
    )
    stage.streaming()
    stage.database.run(f"insert into contacts.note select n, 'new', ({BIG.format(7)}) from generate_series(1, 3) n")
    stage.caught_up()
    stage.database.run(
        "update contacts.note set title = 'changed' where id = 1",
        f"begin; update contacts.note set body = ({BIG.format(11)}) where id = 2;"
        " update contacts.note set title = 'both' where id = 2; commit",
        "update contacts.note set id = 30 where id = 3",
    )
    stage.caught_up()
    stage.assert_equal("contacts.note")
    images = [after for op, key, _, after in change_log(stage, "note") if op == "u" and key == {"id": "1"}]
    assert ("body" in images[0]) == (identity == "full")


@pytest.mark.parametrize("identity", ["full", "default"])
def test_truncate_flags_every_row_and_later_rows_live(stage: Stage, identity: str) -> None:
    stage.prepare(ACCOUNT, f"alter table contacts.account replica identity {identity}", publish=("contacts.account",))
    stage.streaming()
    stage.database.run("insert into contacts.account (name) select 'old ' || n from generate_series(1, 5) n")
    stage.caught_up()
    stage.database.run(
        "begin; insert into contacts.account (name) values ('same transaction'); truncate contacts.account;"
        " insert into contacts.account (name) values ('after'); commit"
    )
    stage.caught_up()
    stage.assert_equal("contacts.account")
    assert stage.target.run("select count(*) filter (where _deleted), count(*) from raw_contacts.account") == [(6, 7)]
    ((key, before, after),) = stage.target.run("select key, before, after from log.change_log where op = 't'")
    assert (key, before, after) == ({}, None, None)


def test_the_outbox_lands_in_the_change_log_without_a_mirror(stage: Stage) -> None:
    stage.prepare(
        "create schema contacts; create table contacts.outbox (id uuid primary key, payload jsonb)",
        publish=("contacts.outbox",),
    )
    stage.streaming()
    stage.database.run("insert into contacts.outbox values (gen_random_uuid(), '{}')")
    stage.caught_up()
    assert stage.target.run("select count(*) from log.change_log where table_name = 'outbox'") == [(1,)]
    assert stage.target.run("select to_regclass('raw_contacts.outbox')") == [(None,)]


def test_each_change_belongs_to_the_latest_audit_message_before_it(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    alice, bob = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2))

    def message(actor: str, command: str, **more: str) -> str:
        content = json.dumps({"actor": actor, "actor_name": "Älice 🙂", "command": command} | more).replace("'", "''")
        return f"select pg_logical_emit_message(true, 'headwater.audit', '{content}');"

    stage.database.run(
        f"begin; {message(alice, 'contacts.first')} insert into contacts.account (name) values ('1'), ('2');"
        f" {message(bob, 'contacts.second', reason='why')} insert into contacts.account (name) values ('3'); commit",
        "insert into contacts.account (name) values ('nobody')",
    )
    stage.caught_up()
    rows = stage.target.run(
        """
        select c.after ->> 'name', t.command, t.actor::text, t.actor_name, t.reason
        from log.change_log c
        left join lateral (
          select * from log.transactions t
          where (t.source, t.epoch, t.xid) = (c.source, c.epoch, c.xid) and t.seq <= c.seq
          order by t.seq desc, t.lsn desc limit 1
        ) t on true
        order by 1
        """
    )
    assert rows == [
        ("1", "contacts.first", alice, "Älice 🙂", None),
        ("2", "contacts.first", alice, "Älice 🙂", None),
        ("3", "contacts.second", bob, "Älice 🙂", "why"),
        ("nobody", None, None, None, None),
    ]


def test_malformed_audit_messages_are_kept_and_stop_nothing(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    contents = ["not json", '["a list"]', r'{"actor": "x", "reason": "nul \u0000"}', r'"\ud800"']
    stage.database.run(*[f"select pg_logical_emit_message(true, 'headwater.audit', '{c}')" for c in contents])
    stage.caught_up()
    kept = stage.target.run("select actor, content #>> '{}' from log.transactions order by lsn")
    assert kept == [(None, content) for content in contents]


def test_every_consumer_is_queued_each_batch_with_changes_and_woken(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.target.run("insert into log.consumer (name) values ('elsewhere')")
    stage.streaming()
    with stage.target.listen("hw_landed") as notified:
        stage.database.run("insert into contacts.account (name) values ('Acme')")
        assert notified(), "no notification"
    stage.caught_up()
    batches = [b for (b,) in stage.target.run("select batch_id from log.batch order by 1")]
    queued = stage.target.run("select consumer, batch_id from log.queue order by 1, 2")
    consumers = [c for (c,) in stage.target.run("select name from log.consumer order by 1")]
    assert {"elsewhere", "refresh"} <= set(consumers)
    assert queued == [(consumer, batch) for consumer in consumers for batch in batches]
    assert stage.target.run("select distinct batch_id from log.change_log order by 1") == [(b,) for b in batches]


def test_a_table_without_a_primary_key_reaches_the_change_log_alone(stage: Stage) -> None:
    """The check refuses such a table; if one is published behind its back, nothing else suffers."""
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    stage.database.run(
        "create table contacts.keyless (a int)",
        f"alter publication {stage.database.publication} add table contacts.keyless",
        "insert into contacts.keyless values (1)",
        "insert into contacts.account (name) values ('Acme')",
    )
    stage.caught_up()
    stage.assert_equal("contacts.account")
    assert change_log(stage, "keyless") == [("c", {}, None, {"a": "1"})]
