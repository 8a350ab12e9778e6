"""Schema changes: the event trigger that writes them into the stream, and how its messages are read.

The trigger stands in the schema ``headwater_ddl`` (``sql/schema_trigger.sql``). Every change of a published table
becomes one transactional logical message with the table's description before and after.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg import errors

from cdc.catalogue import DESCRIBE_SQL, parse_description
from cdc.errors import DecodeError, TriggerForbidden
from cdc.events import Message, SchemaChange

MESSAGE_PREFIX: Final = "headwater.ddl"
SCHEMA: Final = "headwater_ddl"


def parse_schema_change(message: Message) -> tuple[SchemaChange, frozenset[str]]:
    """(the change, the publications that had the table before or have it after). Raises DecodeError."""
    try:
        content: dict[str, Any] = json.loads(message.content)
        relid = content["relid"]
        before = parse_description(relid, content["before"]) if content["before"] else None
        after = parse_description(relid, content["after"]) if content["after"] else None
        latest = after or before
        if latest is None:
            raise KeyError("before and after")
        change = SchemaChange(
            source=message.source,
            xid=message.xid,
            lsn=message.lsn,
            seq=message.seq,
            relid=relid,
            schema=latest.schema,
            table=latest.table,
            command=content["command"],
            before=before.columns if before else None,
            after=after.columns if after else None,
            key=latest.key,
            rewrites=content["rewrites"],
            description=content["after"],
        )
    except (ValueError, KeyError, TypeError) as error:
        problem = f"the schema change is not what sql/schema_trigger.sql writes ({error!r})"
        raise DecodeError("M", 0, problem, lsn=message.lsn) from None
    publications = frozenset((before.publications if before else ()) + (after.publications if after else ()))
    return change, publications


def install(connection: psycopg.Connection[Any]) -> None:
    """Installs the event trigger in the connected database, or brings it up to date, in one transaction.

    Changes made while it was absent or disabled are found and written to the stream. Raises TriggerForbidden where
    the role is no superuser, or the server is one that keeps event triggers to itself.
    """
    trigger = files("cdc").joinpath("sql/schema_trigger.sql").read_text()
    try:
        with connection.transaction():
            connection.execute(trigger.replace("/* describe.sql */", DESCRIBE_SQL).encode())
    except errors.InsufficientPrivilege as refused:
        raise TriggerForbidden(str(connection.info.dbname), refused) from refused


def remove(connection: psycopg.Connection[Any]) -> None:
    """Takes the event trigger and its shadow catalogue away, if they are there. Needs their owner."""
    with connection.transaction():
        for name in ("rewrite", "command", "drop"):
            connection.execute(f"drop event trigger if exists {SCHEMA}_{name}".encode())
        connection.execute(f"drop schema if exists {SCHEMA} cascade".encode())


def is_installed(connection: psycopg.Connection[Any]) -> bool:
    """Whether the trigger is there and fires. Without it schema changes are for ``cdc.polling`` to find."""
    found = connection.execute(
        "select count(*) = 3 from pg_event_trigger where evtname like 'headwater_ddl_%' and evtenabled <> 'D'"
    ).fetchone()
    return found is not None and bool(found[0])
