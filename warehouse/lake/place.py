"""Where a lake lives, and the DuckDB sessions that open it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
from duckdb_extensions import import_extension  # type: ignore[import-untyped]
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse.lake.errors import LakeUnavailable, NoLake

SCHEMA: Final = "lake"
"""The catalogue's schema in the database ``warehouse``."""

OWNER: Final = "wh_lake"
"""Role that owns the catalogue."""

MEMORY: Final = "384MB"
"""DuckDB's own limit; what needs more spills to ``Lake.scratch``."""

_PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)|(://[^:/@\s]+:)[^@\s]+(@)")


@dataclass(frozen=True, slots=True)
class Lake:
    """``catalogue`` logs in as its owner (a URL or key=value string), ``log`` as the owner of the change log.

    ``data`` holds the Parquet files, ``scratch`` DuckDB's extensions and what spills from memory. Both directories are
    made readable for this process's account alone, because files know no row security.
    """

    catalogue: str = field(repr=False)
    log: str = field(repr=False)
    data: Path
    scratch: Path

    @contextmanager
    def open(self, *, writable: bool = False, with_log: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB session with the lake attached as ``lake`` and, ``with_log``, the warehouse as ``warehouse``.

        Raises LakeUnavailable where catalogue or files do not answer, inside the block too; NoLake where there is none.
        """
        try:
            session = self._session()
            try:
                self._attach(session, writable)
                if with_log:
                    session.execute(f"attach {literal(_conninfo(self.log))} as warehouse (type postgres, read_only)")
                yield session
            finally:
                session.close()
        except duckdb.ProgrammingError:  # a mistake of ours
            raise
        except (duckdb.Error, OSError) as error:
            raise as_lake_error(error) from error

    def _session(self) -> duckdb.DuckDBPyConnection:
        for directory in (self.data, self.scratch):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        session = duckdb.connect(
            config={
                "extension_directory": str(self.scratch / "extensions"),
                "temp_directory": str(self.scratch / "spilled"),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": MEMORY,
                # Two cores are shared with everything else, and one loads 100,000 rows a second.
                "threads": 1,
                # Order is asked for where it matters.
                "preserve_insertion_order": "false",
            }
        )
        load_extensions(session)
        session.execute("set timezone = 'UTC'")
        return session

    def _attach(self, session: duckdb.DuckDBPyConnection, writable: bool) -> None:
        # Paths in the catalogue are relative: where the files are, the configuration says.
        options = f"metadata_schema '{SCHEMA}', data_path {literal(f'{self.data}/')}, override_data_path true"
        if writable:
            # Rows in the catalogue instead of a file would be a second place to erase from.
            options += ", data_inlining_row_limit 0"
        else:
            self._require()
            options += ", read_only"
        session.execute(f"attach {literal('ducklake:postgres:' + _conninfo(self.catalogue))} as lake ({options})")

    def _require(self) -> None:
        """Raises NoLake before DuckLake tries to make a catalogue where none is."""
        try:
            with psycopg.connect(self.catalogue, connect_timeout=5) as connection:
                found = connection.execute(
                    "select to_regclass(%s) is not null", [f"{SCHEMA}.ducklake_metadata"]
                ).fetchone()
        except psycopg.Error as error:
            raise as_lake_error(error) from error
        if not found or not found[0]:
            raise NoLake


def load_extensions(session: duckdb.DuckDBPyConnection) -> None:
    """Loads what came with the Python packages; nothing is downloaded. Copying them takes 0.3 s each, once a place."""
    for name in ("ducklake", "postgres_scanner"):
        row = session.execute("select installed from duckdb_extensions() where extension_name = ?", [name]).fetchone()
        if row is None or not row[0]:
            import_extension(name, con=session)
        session.execute(f"load {name}")


def as_lake_error(error: Exception) -> LakeUnavailable:
    """The error in words that hold no password."""
    return LakeUnavailable(without_password(str(error).strip() or type(error).__name__))


def without_password(text: str) -> str:
    return _PASSWORD.sub(lambda m: f"{m[1] or m[3]}…{m[4] or ''}", text)


def rows(session: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    return session.execute(query, parameters or []).fetchall()


def value(session: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | None = None) -> Any:
    row = session.execute(query, parameters or []).fetchone()
    return row[0] if row else None


def _conninfo(dsn: str) -> str:
    """The key=value form, which DuckDB hands to libpq."""
    given = {name: value for name, value in conninfo_to_dict(dsn).items() if value is not None}
    return make_conninfo("", **({"connect_timeout": "5", "application_name": "headwater lake"} | given))


def literal(text: str) -> str:
    """A string literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"
