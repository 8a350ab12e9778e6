"""Connections to the warehouse as ``wh_api``, one a thread, on which each statement says whom it serves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import psycopg

STATEMENT_TIMEOUT = "5s"

_local = threading.local()


class WarehouseUnavailable(Exception):
    """The warehouse gives no answer."""


def ask(dsn: str, claims: str, statement: bytes, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row of one statement (``$1`` placeholders), which sees the rows that the person of ``claims`` may
    read (JSON, as ``policy.sql.claims`` writes it).

    One round trip: the claims hold for this transaction alone, and a single statement is of a single moment (in READ
    COMMITTED its snapshot is taken after its locks, so that a mart swapped in meanwhile is seen whole; a repeatable
    read that began earlier would find it empty). A connection that broke since the last request is replaced once.
    Raises WarehouseUnavailable.
    """
    try:
        return _ask(_connection(dsn), claims, statement, parameters)
    except psycopg.OperationalError:
        _forget()
    try:
        return _ask(_connection(dsn), claims, statement, parameters)
    except psycopg.OperationalError as error:
        _forget()
        raise WarehouseUnavailable(str(error).strip()) from error


def _ask(
    connection: psycopg.Connection[tuple[Any, ...]], claims: str, statement: bytes, parameters: Sequence[Any]
) -> tuple[Any, ...] | None:
    with connection.pipeline(), connection.transaction():
        connection.execute("select set_config('headwater.claims', %s, true)", [claims], prepare=True)
        answer = psycopg.RawCursor(connection).execute(statement, parameters, prepare=True)
    return answer.fetchone()


def _connection(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    kept: psycopg.Connection[tuple[Any, ...]] | None = getattr(_local, "connection", None)
    if kept is not None and not kept.closed and _local.dsn == dsn:
        return kept
    _forget()
    _local.connection = psycopg.connect(
        dsn, autocommit=True, application_name="headwater read api", options=f"-c statement_timeout={STATEMENT_TIMEOUT}"
    )
    _local.dsn = dsn
    return _local.connection  # type: ignore[no-any-return]


def _forget() -> None:
    kept = getattr(_local, "connection", None)
    if kept is not None:
        kept.close()
        _local.connection = None
