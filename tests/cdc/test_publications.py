"""Publications hold the tables they should, and only tables that can be streamed."""

from __future__ import annotations

import pytest

from cdc.errors import NotPublishable, PublicationMismatch
from cdc.publications import check_publishable, ensure_publication, verify_publication
from tests.cdc.database import Database


def test_unfit_tables_are_refused_each_by_name_and_reason(database: Database) -> None:
    database.run(
        "create table good (id int primary key)",
        "create table keyless (id int)",
        "create unlogged table fleeting (id int primary key)",
        "create table other_identity (id int primary key, code int not null unique)",
        "alter table other_identity replica identity using index other_identity_code_key",
        "create view looks as select 1 as id",
    )
    unfit = ["public.keyless", "public.fleeting", "public.other_identity", "public.looks", "public.absent"]
    with pytest.raises(NotPublishable, match=r"public\.keyless: it has no primary key") as caught:
        check_publishable(database.connect(), ["public.good", *unfit])
    assert sorted(caught.value.problems) == sorted(unfit)
    with pytest.raises(NotPublishable):
        ensure_publication(database.connect(), "p", ["public.good", "public.keyless"])


def test_a_publication_is_made_changed_and_left_alone(database: Database) -> None:
    connection = database.connect()
    database.run("create table a (id int primary key)", 'create table "B b" (id int primary key)')
    with pytest.raises(PublicationMismatch, match="Publication p does not exist"):
        verify_publication(connection, "p", ["public.a"])
    assert ensure_publication(connection, "p", ["public.a"])
    assert not ensure_publication(connection, "p", ["public.a"])
    with pytest.raises(PublicationMismatch, match=r"lacks public\.B b and has nothing too many"):
        verify_publication(connection, "p", ["public.a", "public.B b"])
    assert ensure_publication(connection, "p", ["public.a", "public.B b"])
    verify_publication(connection, "p", ["public.a", "public.B b"])
    database.run("alter table a drop constraint a_pkey")
    with pytest.raises(NotPublishable, match=r"public\.a"):
        verify_publication(connection, "p", ["public.a", "public.B b"])


def test_what_a_publication_streams_is_set_and_changed(database: Database) -> None:
    connection = database.connect()
    database.run("create table a (id int primary key)")
    streamed = "select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication where pubname = 'p'"
    ensure_publication(connection, "p", ["public.a"])
    assert connection.execute(streamed).fetchone() == (True, True, True, True)
    assert ensure_publication(connection, "p", ["public.a"], operations=["insert"])
    assert connection.execute(streamed).fetchone() == (True, False, False, False)
    assert not ensure_publication(connection, "p", ["public.a"], operations=["insert"])
    assert ensure_publication(connection, "p", ["public.a"])
    assert connection.execute(streamed).fetchone() == (True, True, True, True)


def test_a_column_that_the_mirror_has_for_itself_is_refused_by_name(database: Database) -> None:
    database.run(
        'create table taken (id int primary key, "_lsn" text, _deleted bool)', "create table good (id int primary key)"
    )
    with pytest.raises(NotPublishable, match=r"public\.taken: its mirror has columns of its own called _deleted, _lsn"):
        ensure_publication(
            database.connect(), "p", ["public.good", "public.taken"], reserved=["_lsn", "_seq", "_deleted"]
        )
    assert ensure_publication(database.connect(), "p", ["public.good"], reserved=["_lsn", "_seq", "_deleted"])
