"""Row changes reach mirror and change log, each once, in the order they were made."""

from __future__ import annotations

from tests.pipelines.landing.stage import Stage

ACCOUNT = """
create schema contacts;
create table contacts.account (id uuid primary key, name text, revenue numeric(19,4), custom jsonb default '{}',
  updated_at timestamptz default now());
alter table contacts.account replica identity full
"""


def test_insert_update_delete_reach_the_mirror_and_the_change_log(stage: Stage) -> None:
    stage.prepare(ACCOUNT, publish=("contacts.account",))
    stage.streaming()
    stage.database.run(
        "insert into contacts.account (id, name, revenue) select gen_random_uuid(), 'Acme ' || n, n from generate_series(1, 100) n",
        "update contacts.account set name = name || ' GmbH' where revenue < 50",
        "delete from contacts.account where revenue > 90",
    )
    stage.caught_up()
    stage.assert_equal("contacts.account")
    stage.assert_each_change_once()
    counts = stage.target.run("select op::text, count(*) from log.change_log group by op order by op::text")
    assert counts == [("c", 100), ("d", 10), ("u", 49)]
    stage.stop()
