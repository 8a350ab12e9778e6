"""``headwater erase``: forgets a person everywhere, and proves that no file here holds what was known of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from headwater import searching
from headwater.acting import as_administrator
from headwater.cli.errors import Refused
from headwater.config import Config
from headwater.lake import lake
from headwater.state import Home
from pipelines.lake.erasing import Subject, blanked, erase, files_with, vacuum, values
from policy.personal import PERSONAL

Connection = psycopg.Connection[tuple[Any, ...]]

LANDING_TIMEOUT = 60.0
"""Seconds for the erasure itself to land, after which the installation is not well and the command is given again."""

RESOURCE = "contacts.contact"
UNSEARCHED = ("pg_wal", "pg_stat_tmp", "run", "extensions")
"""Directories that the search passes over. The WAL goes round: its old segments are written over in time."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact, and its row in history."""

    id: UUID
    subject: Subject


def erase_person(home: Home, config: Config, name: str, *, reason: str) -> Iterator[str]:
    """Says what was done, and names every file that still holds a value, which is a fault. May be given again.

    Raises Refused for a name of nobody, LakeError, psycopg.Error.
    """
    person = _person(name)
    known = values(lake(config), person.subject)
    _erase_row(person, reason)
    _await_landing(config, person)
    yield f"{name}: emptied in {RESOURCE} and its mirror"
    versions = erase(lake(config), person.subject)
    yield f"history: {versions} versions emptied, in change log and lake"
    for place, documents in _erase_documents(config, person):
        yield f"{place}: {documents} documents emptied"
    _vacuum(config)
    yield from _proof(home, config, person, known)


def _person(name: str) -> Person:
    kind, _, key = name.partition("/")
    try:
        id = UUID(key)
    except ValueError:
        id = None
    if kind != "contacts" or id is None:
        raise Refused(f"{name!r} names no person; write contacts/<id>, as `headwater history` shows it.")
    return Person(id, Subject("contacts", "contact", f'{{"id": "{id}"}}', PERSONAL[RESOURCE]))


def _erase_row(person: Person, reason: str) -> None:
    who = as_administrator(reason)
    from transactional.kernel.calls import execute
    from transactional.kernel.problems import Problem

    try:
        execute("contacts.erase_contact", {"id": str(person.id)}, who)
    except Problem as problem:
        raise Refused(problem.detail) from problem


def _await_landing(config: Config, person: Person) -> None:
    """The mirror, and the mart made of it, hold the row as it was left."""
    from transactional.contacts.commands.contacts import ERASED

    shown = (
        "select from raw_contacts.contact join marts.dim_contact on contact_id = id"
        " where id = %(id)s and contact.last_name = %(erased)s and dim_contact.last_name = %(erased)s"
    )
    deadline = time.monotonic() + LANDING_TIMEOUT
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        while warehouse.execute(shown, {"id": person.id, "erased": ERASED}).fetchone() is None:
            if time.monotonic() > deadline:
                raise Refused(
                    f"the erasure of {person.id} did not land in {LANDING_TIMEOUT:.0f} s; see `headwater status`, and"
                    " give the command again: history still holds the person."
                )
            time.sleep(0.1)


def _erase_documents(config: Config, person: Person) -> Iterator[tuple[str, int]]:
    """Stored answers, events and deliveries that carry the person: their members of those names become null."""
    identity = str(person.id)
    with psycopg.connect(config.service_url("contacts", role="postgres"), autocommit=True) as contacts:
        answers = contacts.execute(
            "select actor_id, key, body from contacts.idempotency_key where position(%s::bytea in body) > 0",
            [identity.encode()],
        ).fetchall()
        changed = 0
        for actor, key, body in answers:
            document = json.loads(bytes(body))
            emptied = blanked(document, identity, person.subject.columns)
            if emptied != document:
                contacts.execute(
                    "update contacts.idempotency_key set body = %s where actor_id = %s and key = %s",
                    [json.dumps(emptied).encode(), actor, key],
                )
                changed += 1
        yield "stored answers", changed
        yield "events", _erase_json(contacts, "contacts.outbox", "id", identity, person)
    with psycopg.connect(config.stream_url("postgres"), autocommit=True) as stream:
        yield "deliveries", _erase_json(stream, "stream.delivery", "event_id", identity, person)
    with psycopg.connect(config.warehouse_url("postgres"), autocommit=True) as warehouse:
        yield "landed events", _erase_landed(warehouse, identity, person)


def _erase_json(database: Connection, table: str, key: str, identity: str, person: Person) -> int:
    relation = sql.Identifier(*table.split("."))
    found = database.execute(
        sql.SQL("select {}, payload from {} where payload::text like %s").format(sql.Identifier(key), relation),
        [f"%{identity}%"],
    ).fetchall()
    changed = 0
    for row, payload in found:
        emptied = blanked(payload, identity, person.subject.columns)
        if emptied != payload:
            database.execute(
                sql.SQL("update {} set payload = %s where {} = %s").format(relation, sql.Identifier(key)),
                [json.dumps(emptied), row],
            )
            changed += 1
    return changed


def _erase_landed(warehouse: Connection, identity: str, person: Person) -> int:
    """Events of the outbox land in the change log and the lake; none carries a person as of now, and this says so."""
    row = warehouse.execute(
        "select count(*) from log.change_log where table_name = 'outbox' and (after ->> 'payload') like %s"
        " and exists (select from jsonb_each_text((after ->> 'payload')::jsonb) as member"
        " where member.key = any(%s) and member.value is not null)",
        [f"%{identity}%", [column for column in person.subject.columns if column != "custom"]],
    ).fetchone()
    if row and row[0]:
        raise Refused(
            f"{row[0]} landed events carry {identity} with personal members, which history must not hold; "
            "take those members out of the event's schema."
        )
    return 0


def _vacuum(config: Config) -> None:
    """Tables that held the person are written anew, and the planner's samples of them."""
    with psycopg.connect(config.service_url("contacts", role="postgres"), autocommit=True) as contacts:
        for relation in ("contacts.contact", "contacts.idempotency_key", "pg_catalog.pg_statistic"):
            vacuum(contacts, relation)
        contacts.execute("checkpoint")
    with psycopg.connect(config.stream_url("postgres"), autocommit=True) as stream:
        vacuum(stream, "stream.delivery")
    with psycopg.connect(config.warehouse_url("postgres"), autocommit=True) as warehouse:
        for relation in ("raw_contacts.contact", "marts.dim_contact", "pg_catalog.pg_statistic"):
            vacuum(warehouse, relation)
        warehouse.execute("checkpoint")


def _proof(home: Home, config: Config, person: Person, known: set[str]) -> Iterator[str]:
    """Searches the bytes of every file for what only this person was called."""
    own = _only_of(config, person, known)
    if searching.place(config).url is None:
        # An embedded index keeps what was deleted from it until its segments are merged, and keeps it compressed: a
        # search of its bytes may miss it.
        yield from searching.rebuild(home, config)
    left = _holding(home, config, own)
    searched = f"{len(own)} of {len(known)} values, those that are nobody else's, were searched for in every file"
    if not left:
        yield f"proof: {searched}; none holds one"
    for path, count in sorted(left.items()):
        yield f"! {path} holds {count} of the values"
    yield "WAL segments are written over in time, backups keep what they held until they are deleted."


def _holding(home: Home, config: Config, texts: list[str]) -> dict[Path, int]:
    """Files that hold some of the texts, and how many of them."""
    places = {home.root, home.clusters.resolve(), lake(config).data}
    left: dict[Path, int] = {}
    for path, _ in files_with(sorted(places), texts):
        if not set(UNSEARCHED) & set(path.parts):
            left[path] = left.get(path, 0) + 1
    return left


def _only_of(config: Config, person: Person, known: set[str]) -> list[str]:
    """Values that no other person has: of the others a file may hold them rightly."""
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        rows = warehouse.execute(
            "select value from unnest(%s::text[]) as value where length(value) >= 4 and not exists ("
            " select from raw_contacts.contact as other where other.id <> %s and to_jsonb(other)::text"
            " like '%%' || replace(replace(value, '%%', '\\%%'), '_', '\\_') || '%%')",
            [sorted(known), person.id],
        )
        from transactional.contacts.commands.contacts import ERASED

        return [str(value) for (value,) in rows if value != ERASED]
