"""Events are history in the change log; that retention deletes them is not."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from cdc.publications import ensure_publication
from tests.pipelines.landing.stage import Stage

TABLES = (
    "create schema stock",
    "create table stock.item (id int primary key)",
    "create table stock.movement (id int primary key)",
    "create table stock.outbox (id int primary key, type text not null)",
)


def test_events_land_and_their_deletion_does_not(stage: Stage) -> None:
    """Published as provisioning does it: every change of a business table, inserts alone of the outbox."""
    stage.prepare(*TABLES, publish=("stock.item",))
    outboxes = f"{stage.database.publication}_outboxes"
    with psycopg.connect(stage.database.dsn, autocommit=True) as connection:
        ensure_publication(connection, outboxes, ["stock.outbox"], operations=["insert"])
    service = stage.sibling("service", "stock.movement")
    stage.database.run("insert into stock.outbox values (1, 'BEFORE_THE_SNAPSHOT')")
    stage.start(replace(service, publications=(*service.publications, outboxes)))
    stage.wait_for(lambda: stage.state("service") == "streaming", "the stream")
    stage.database.run(
        "insert into stock.outbox values (2, 'STREAMED')",
        "delete from stock.outbox",
        "truncate stock.outbox",
        "insert into stock.movement values (1)",
        "delete from stock.movement",
    )
    landed = "select op::text, key ->> 'id' from log.change_log where table_name = %s order by op, key ->> 'id'"
    stage.wait_for(lambda: len(stage.target.run(landed, parameters=["movement"])) == 2, "the last change")
    assert stage.target.run(landed, parameters=["movement"]) == [("c", "1"), ("d", "1")]
    assert stage.target.run(landed, parameters=["outbox"]) == [("c", "2"), ("r", "1")]
