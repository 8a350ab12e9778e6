"""An auditor's comparison, after the dust has settled, of sources, mirror, change log, inboxes and replicas.

It asks the databases alone, as superuser, and uses nothing of the code that carried the data. Every check returns what
it counted and what is wrong; an empty list of faults is the proof.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

SHOWN = 5
"""Examples named in a fault."""

MIRROR_COLUMNS = ("_lsn", "_seq", "_deleted", "_committed_at")

REPLICAS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "contacts.account",
        "finance.account_profile",
        {
            "account_uuid": "account_uuid",
            "version": "replica_version",
            "name": "name",
            "account_type": "account_type",
            "status": "account_status",
            "billing_address": "billing_address",
            "owner_id": "owner_id",
            "team_id": "team_id",
            "territory_id": "territory_id",
        },
    ),
    (
        "contacts.account",
        "orders.account_profile",
        {
            "account_uuid": "account_uuid",
            "version": "replica_version",
            "name": "name",
            "account_type": "account_type",
            "status": "account_status",
            "billing_address": "billing_address",
            "shipping_address": "shipping_address",
            "owner_id": "owner_id",
            "team_id": "team_id",
            "territory_id": "territory_id",
        },
    ),
    (
        "inventory.product",
        "orders.product_replica",
        {
            "id": "product_id",
            "version": "replica_version",
            "sku": "sku",
            "name": "name",
            "is_active": "is_active",
            "list_price": "list_price",
            "currency": "currency",
        },
    ),
)
"""Producer's table, replica, producer's column → replica's column; the first pair is the key."""


@dataclass(frozen=True)
class Databases:
    """Superuser connection strings. ``services`` maps each service to the database its schema stands in."""

    services: dict[str, str]
    stream: str
    warehouse: str

    def schemas(self) -> Iterator[tuple[str, list[str]]]:
        """Each database with the services whose schemas stand in it."""
        by_database: dict[str, list[str]] = {}
        for service, dsn in self.services.items():
            by_database.setdefault(dsn, []).append(service)
        yield from by_database.items()


@dataclass
class Finding:
    """The outcome of one check: how many things were compared, and what is wrong."""

    check: str
    compared: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str, examples: Iterable[object]) -> None:
        examples = list(examples)
        if examples:
            shown = ", ".join(str(example) for example in examples[:SHOWN])
            more = f" and {len(examples) - SHOWN} more" if len(examples) > SHOWN else ""
            self.faults.append(f"{len(examples)} {what}: {shown}{more}")


Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Pair:
    """A table at its source, and the warehouse that holds what became of it."""

    source: Connection
    warehouse: Connection
    schema: str
    table: str

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    def key(self) -> list[str]:
        """The columns of the source's primary key, in its order."""
        rows = self.source.execute(
            "select a.attname from pg_index i"
            " join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)"
            " where i.indisprimary and i.indrelid = %s::regclass order by array_position(i.indkey, a.attnum)",
            [f'"{self.schema}"."{self.table}"'],
        )
        return [str(row[0]) for row in rows]


def verify(databases: Databases) -> list[Finding]:
    """Every check that needs no knowledge of what the clients did."""
    return [
        mirror_equals_sources(databases),
        change_log_holds_each_change_once(databases),
        events_applied_once(databases),
        replicas_equal_producers(databases),
        holds_agree(databases),
    ]


def mirror_equals_sources(databases: Databases) -> Finding:
    """Row by row: every published business table against the rows of its mirror that are not flagged as deleted."""
    finding = Finding("mirror = sources")
    with connect(databases.warehouse) as warehouse:
        for dsn, services in databases.schemas():
            with connect(dsn) as source:
                for schema, table in published_tables(source, services):
                    if table != "outbox":
                        _compare_table(finding, Pair(source, warehouse, schema, table))
    return finding


def published_tables(source: Connection, services: list[str]) -> list[tuple[str, str]]:
    """What landing reads."""
    return source.execute(
        "select schemaname, tablename from pg_publication_tables"
        " where pubname = 'hw_landing' and schemaname = any(%s) order by 1, 2",
        [services],
    ).fetchall()  # type: ignore[return-value]


def _compare_table(finding: Finding, pair: Pair) -> None:
    source, warehouse, schema, table = pair.source, pair.warehouse, pair.schema, pair.table
    name, mirror = pair.name, f"raw_{schema}"
    columns, landed = _columns(source, schema, table), _columns(warehouse, mirror, table)
    if not landed:
        finding.fault("tables without a mirror", [name])
        return
    absent = [f"{name}.{column}" for column in columns if column not in landed]
    finding.fault("columns absent in the mirror", absent)
    shared = [column for column in columns if column in landed]
    key = pair.key()
    ours = _rows(source, schema, table, key, shared, sql.SQL("true"))
    theirs = _rows(warehouse, mirror, table, key, shared, sql.SQL("not _deleted"))
    finding.compared += len(ours)
    finding.fault(f"rows of {name} that the mirror lacks", ours.keys() - theirs.keys())
    finding.fault(f"rows of {name} that only the mirror has", theirs.keys() - ours.keys())
    finding.fault(f"rows of {name} that differ", [key for key, row in ours.items() if theirs.get(key, row) != row])


def _columns(connection: Connection, schema: str, table: str) -> list[str]:
    rows = connection.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
        " order by ordinal_position",
        [schema, table],
    )
    return [str(row[0]) for row in rows if row[0] not in MIRROR_COLUMNS]


def _rows(
    connection: Connection,
    schema: str,
    table: str,
    key: list[str],
    columns: list[str],
    where: sql.SQL,
) -> dict[str, str]:
    """Key → digest of the row's text forms; the text form of a value is what the stream carries."""

    def texts(names: list[str]) -> sql.Composed:
        return sql.SQL("array[{}]::text").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
        )

    query = sql.SQL("select {}, md5({}) from {} where {}").format(
        texts(key), texts(columns), sql.Identifier(schema, table), where
    )
    return {str(k): str(digest) for k, digest in connection.execute(query)}


def change_log_holds_each_change_once(databases: Databases) -> Finding:
    """The versions of every row form a chain without gap or repetition, from its creation to what the source holds.

    ``version`` counts a row's updates in the source, so the chain is an independent count of the changes that there
    were. Rows of tables without it are never updated: one change each, for the rows that the source holds.
    """
    finding = Finding("change log holds each change once")
    with connect(databases.warehouse) as warehouse:
        twice = warehouse.execute(
            "select source, epoch, xid, lsn, seq, count(*) from log.change_log where op <> 'r'"
            " group by source, epoch, xid, lsn, seq having count(*) > 1"
        ).fetchall()
        finding.fault("changes that stand twice", twice)
        for dsn, services in databases.schemas():
            with connect(dsn) as source:
                for schema, table in published_tables(source, services):
                    check = _check_chains if "version" in _columns(source, schema, table) else _check_single_changes
                    check(finding, Pair(source, warehouse, schema, table))
    return finding


def _check_chains(finding: Finding, pair: Pair) -> None:
    name, key = pair.name, pair.key()
    chains = pair.warehouse.execute(
        "select key, min(version), max(version), count(*), count(distinct version),"
        " bool_or(op in ('c', 'r')), bool_or(op = 'd'), bool_or(op = 'r')"
        " from (select key, op, case when op <> 'd' then (after ->> 'version')::bigint end as version"
        "       from log.change_log where schema_name = %s and table_name = %s and op <> 't') as change"
        " group by key",
        [pair.schema, pair.table],
    ).fetchall()
    standing = _versions(pair, key)
    seen = set()
    for row in chains:
        (image, first, last, changes, distinct, created, deleted, read) = row
        identity = tuple(str(image[column]) for column in key)  # type: ignore[index]
        seen.add(identity)
        alive = int(changes) - bool(deleted)  # type: ignore[call-overload]
        finding.compared += int(changes)  # type: ignore[call-overload]
        if alive != distinct:
            finding.fault(f"rows of {name} with a version that was logged twice", [identity])
        elif not created or (first != 1 and not read) or alive != int(last) - int(first) + 1:  # type: ignore[call-overload]
            finding.fault(f"rows of {name} with a version missing", [(identity, first, last, changes)])
        if not deleted and standing.get(identity) != last:
            finding.fault(f"rows of {name} that the log leaves behind", [(identity, last, standing.get(identity))])
    finding.fault(f"rows of {name} that the log does not know", standing.keys() - seen)


def _versions(pair: Pair, key: list[str]) -> dict[tuple[str, ...], int]:
    rows = _standing(pair, key, sql.SQL(", version"))
    return {tuple(map(str, identity)): int(version) for *identity, version in rows}  # type: ignore[call-overload]


def _standing(pair: Pair, key: list[str], more: sql.SQL) -> Iterable[tuple[object, ...]]:
    """The keys of the source's rows, in text, and ``more``."""
    names = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in key)
    return pair.source.execute(
        sql.SQL("select {}{} from {}").format(names, more, sql.Identifier(pair.schema, pair.table))
    )


def _check_single_changes(finding: Finding, pair: Pair) -> None:
    name, key = pair.name, pair.key()
    standing = {tuple(map(str, row)) for row in _standing(pair, key, sql.SQL(""))}
    logged: Counter[tuple[str, ...]] = Counter()
    gone = set()
    for image, op in pair.warehouse.execute(
        "select key, op::text from log.change_log where schema_name = %s and table_name = %s and op <> 't'",
        [pair.schema, pair.table],
    ):
        identity = tuple(str(image[column]) for column in key)  # type: ignore[index]
        if op == "d":
            gone.add(identity)
        else:
            logged[identity] += 1
    finding.compared += logged.total()
    finding.fault(f"rows of {name} that the log does not know", standing - logged.keys())
    finding.fault(f"rows of {name} that were logged twice", [row for row, times in logged.items() if times > 1])
    finding.fault(f"rows of {name} that only the log knows", logged.keys() - standing - gone)


def events_applied_once(databases: Databases) -> Finding:
    """Outbox × subscriptions = inboxes, and no delivery waits or is parked. The inbox's key forbids a second time."""
    finding = Finding("every event applied once")
    outbox: dict[str, str] = {}
    inboxes: dict[str, dict[str, set[str]]] = {}
    for dsn, services in databases.schemas():
        with connect(dsn) as source:
            for service in services:
                table = sql.Identifier(service, "outbox")
                outbox |= {
                    str(event): str(kind)
                    for event, kind in source.execute(sql.SQL("select id, type from {}").format(table))
                }
                applied: dict[str, set[str]] = {}
                table = sql.Identifier(service, "inbox")
                for consumer, event in source.execute(sql.SQL("select consumer, event_id from {}").format(table)):
                    applied.setdefault(str(consumer), set()).add(str(event))
                inboxes[service] = applied
    with connect(databases.stream) as stream:
        wanted = [
            (str(consumer).partition(".")[0], str(kind))
            for consumer, kind in stream.execute("select consumer, event_type from stream.subscription")
        ]
        waiting = stream.execute(
            "select consumer, type, aggregate_id, attempts, last_error from stream.delivery"
        ).fetchall()
        malformed = stream.execute("select producer, outbox_id, error from stream.malformed").fetchall()
    finding.fault("deliveries that wait or are parked", waiting)
    finding.fault("outbox rows that are no events", malformed)
    by_type: dict[str, set[str]] = {}
    for event, kind in outbox.items():
        by_type.setdefault(kind, set()).add(event)
    for service, kind in wanted:
        events = by_type.get(kind, set())
        anyone: set[str] = set().union(*inboxes[service].values())
        finding.compared += len(events)
        finding.fault(f"{kind} events that {service} never applied", events - anyone)
    for applied in inboxes.values():
        for consumer, events in applied.items():
            finding.fault(f"events applied by {consumer} that nobody published", events - outbox.keys())
            for kind in {outbox[event] for event in events if event in outbox}:
                finding.fault(f"{kind} events that {consumer} never applied", by_type[kind] - events)
    return finding


def replicas_equal_producers(databases: Databases) -> Finding:
    """Every replica against the table it copies, version included."""
    finding = Finding("replicas = producers")
    for producer, replica, columns in REPLICAS:
        key, *rest = columns.items()
        masters = _values(databases, producer, [key[0], *(master for master, _ in rest)])
        copies = _values(databases, replica, [key[1], *(copy for _, copy in rest)])
        finding.compared += len(masters)
        finding.fault(f"rows of {producer} that {replica} lacks", masters.keys() - copies.keys())
        finding.fault(f"rows of {replica} without a master in {producer}", copies.keys() - masters.keys())
        differing = [(k, values, copies[k]) for k, values in masters.items() if copies.get(k, values) != values]
        finding.fault(f"rows of {replica} that differ from {producer}", differing)
    return finding


def holds_agree(databases: Databases) -> Finding:
    """Contacts shows On Hold exactly where Finance holds the account's credit."""
    finding = Finding("holds agree")
    held = _values(databases, "finance.account_profile", ["account_uuid", "on_credit_hold"])
    shown = _values(databases, "contacts.account", ["account_uuid", "status"])
    finding.compared = len(held)
    wrong = [(k, shown.get(k), flag) for k, flag in held.items() if (shown.get(k) == ["On Hold"]) != (flag == ["true"])]
    finding.fault("accounts whose status and hold disagree", wrong)
    return finding


_MARK = re.compile(r"/\*hot_keys\*/.*?/\*hot_keys\*/")


def hot_marts_equal_rebuilt(databases: Databases, manifest: Path) -> Finding:
    """Each hot model's table against its own SQL run over everything, as ``manifest`` has it compiled for the lane.

    A model stands on tables that are compared themselves, so all together are what a rebuild would make.
    """
    finding = Finding("hot marts = rebuilt")
    nodes = json.loads(manifest.read_text())["nodes"].values()
    with connect(databases.warehouse) as warehouse:
        for node in nodes:
            if node["resource_type"] != "model" or not node["config"].get("meta", {}).get("hot"):
                continue
            name = f"{node['schema']}.{node['name']}"
            columns = sql.SQL(", ").join(map(sql.Identifier, _columns(warehouse, node["schema"], node["name"])))
            table = sql.Identifier(node["schema"], node["name"])
            rebuilt = sql.SQL("select {} from ({}) as rebuilt").format(
                columns, sql.SQL(_MARK.sub("true", node["compiled_code"]))
            )
            standing = sql.SQL("select {} from {}").format(columns, table)
            for what, left, right in (
                (f"rows that {name} lacks or has otherwise", rebuilt, standing),
                (f"rows of {name} that a rebuild would not make", standing, rebuilt),
            ):
                query = sql.SQL("select to_jsonb(d)::text from (({}) except all ({})) as d").format(left, right)
                finding.fault(what, [row[0] for row in warehouse.execute(query)])
            counted = warehouse.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
            finding.compared += int(str(counted[0])) if counted else 0
    return finding


def _values(databases: Databases, table: str, columns: list[str]) -> dict[str, list[str | None]]:
    """Text forms of the columns by the first of them; jsonb has one text form for equal values."""
    service, _, name = table.partition(".")
    names = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
    with connect(databases.services[service]) as connection:
        rows = connection.execute(sql.SQL("select {} from {}").format(names, sql.Identifier(service, name)))
        return {str(key): list(values) for key, *values in rows}  # type: ignore[arg-type]


def connect(dsn: str) -> Connection:
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("set timezone = 'UTC'")
    return connection
