"""A person that was erased is in no row, no file and no statistic, and everybody else is still there."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import datetime

import psycopg
import pytest

from pipelines.lake import erasing
from pipelines.lake.erasing import Subject, blanked, erase, files_with, vacuum, values
from pipelines.lake.errors import StillVisible
from pipelines.lake.housekeeping import compact
from pipelines.lake.loader import drain, load
from pipelines.lake.retention import verify
from policy.personal import PERSONAL
from tests.lakes import LakeSide
from tests.mirror import put
from tests.pipelines.lake.test_retention import today
from tests.stack import eventually

ANNA, BERT = uuid.uuid4(), uuid.uuid4()
SUBJECT = Subject("contacts", "contact", f'{{"id": "{ANNA}"}}', PERSONAL["contacts.contact"])
SECRETS = {"Annabella", "Quisenberry", "annabella@quisenberry.test", "+44 7700 900123", "Birdie", "Qu\"een'bée\\"}


def lived(side: LakeSide) -> None:
    """Annabella's life in several files, among others, some of it not loaded yet."""
    commit = side.stream.commit
    commit(put("contacts.contact", id=ANNA, first_name="Annabella", last_name="Quisenberry"))
    load(side.lake)
    commit(
        put("contacts.contact", id=ANNA, email="annabella@quisenberry.test", custom={"nick": ["Birdie"], "vip": True}),
        put("contacts.contact", id=BERT, last_name="Brown"),
    )
    load(side.lake)
    commit(put("contacts.contact", id=ANNA, phone="+44 7700 900123", job_title="Qu\"een'bée\\"))
    compact(side.lake, files=2)
    commit(
        put(
            "contacts.contact",
            id=ANNA,
            first_name=None,
            last_name="(erased)",
            email=None,
            phone=None,
            job_title=None,
            custom={},
        )
    )


def test_what_history_holds_of_a_person(side: LakeSide) -> None:
    lived(side)
    assert values(side.lake, SUBJECT) == SECRETS | {"(erased)"}


def test_an_erased_person_is_in_no_file_and_no_statistic(side: LakeSide) -> None:
    lived(side)
    before = list(files_with([side.lake.data], SECRETS))
    assert {text for _, text in before} >= SECRETS - {"+44 7700 900123", "Qu\"een'bée\\"}, (
        "the search finds what is there"
    )
    assert erase(side.lake, SUBJECT) == 4
    assert list(files_with([side.lake.data], SECRETS)) == []
    for relation in ("raw_contacts.contact",):
        vacuum(side.owner, relation)
    with side.cluster.connect(side.database) as superuser:
        vacuum(superuser, "pg_catalog.pg_statistic")
        superuser.execute("checkpoint")
        ((oid,),) = superuser.execute("select oid from pg_database where datname = current_database()").fetchall()
    database = side.cluster.data / "base" / str(oid)
    assert list(files_with([database], SECRETS)) == [], "but for the WAL, which goes round by itself"


def test_who_may_still_see_a_person_is_named_or_waited_for(side: LakeSide, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(side)
    with side.cluster.connect(side.database) as reader, psycopg.connect(side.dsn(), autocommit=True) as owner:
        waiting = threading.Thread(target=vacuum, args=[owner, "raw_contacts.contact"])
        looks: set[datetime] = set()

        def waits() -> bool:
            found = "select query_start from pg_stat_activity where pid = %s and query like '%%pg_prepared_xacts%%'"
            looks.update(began for (began,) in side.log(found, [owner.info.backend_pid]))
            return len(looks) > 1

        with reader.transaction():
            reader.execute("set transaction isolation level repeatable read")
            reader.execute("select 1")
            side.log("delete from raw_contacts.contact where id = %s", [ANNA])
            with monkeypatch.context() as impatient:
                impatient.setattr(erasing, "VISIBLE_TIMEOUT", 0.2)
                with pytest.raises(StillVisible, match=f"session {reader.info.backend_pid} of postgres"):
                    vacuum(side.owner, "raw_contacts.contact")
            waiting.start()
            eventually(waits, 60, "the vacuum to wait")
        waiting.join(60)
        assert not waiting.is_alive()
        ((path,),) = side.log("select pg_relation_filepath('raw_contacts.contact')")
        with side.cluster.connect() as superuser:
            superuser.execute("checkpoint")
    written = (side.cluster.data / path).read_bytes()
    assert b"Brown" in written
    assert b"Quisenberry" not in written


def test_everybody_else_and_the_fact_of_each_change_stay(side: LakeSide) -> None:
    lived(side)
    erase(side.lake, SUBJECT)
    assert side.difference() == []
    assert side.count() == (5, 5)
    assert verify(side.lake, today()) == [], "change log and lake say the same"
    assert side.query("select after ->> 'last_name' from lake.log.changes where key = ?", [f'{{"id": "{BERT}"}}']) == [
        ("Brown",)
    ]
    for (image,) in side.query("select after from lake.log.changes where key = ?", [SUBJECT.key]):
        assert all(json.loads(image)[column] is None for column in SUBJECT.columns)
        assert json.loads(image)["id"] == str(ANNA)


def test_erasing_again_finds_nothing_left_and_loading_goes_on(side: LakeSide) -> None:
    lived(side)
    erase(side.lake, SUBJECT)
    erase(side.lake, SUBJECT)
    assert values(side.lake, SUBJECT) == set()
    side.stream.commit(put("contacts.contact", id=BERT, last_name="Browne"))
    drain(side.lake)
    compact(side.lake, files=2)
    assert side.difference() == []


@pytest.mark.parametrize(
    ("document", "left"),
    [
        ({"id": "1", "last_name": "Lee", "n": 1}, {"id": "1", "last_name": None, "n": 1}),
        ({"id": "2", "last_name": "Lee"}, {"id": "2", "last_name": "Lee"}),
        ([{"a": {"contact_id": "1", "email": "x"}}], [{"a": {"contact_id": "1", "email": None}}]),
    ],
)
def test_documents_lose_what_they_say_of_the_person_alone(document: object, left: object) -> None:
    assert blanked(document, "1", ("last_name", "email")) == left
