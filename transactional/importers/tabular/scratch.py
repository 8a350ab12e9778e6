"""The keys of a file that were met so far, on disk: a file of any size is checked for duplicates in little memory."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson


class Scratch:
    """A temporary file that ends with the block: keys with the line of their first row, and rows laid aside."""

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="headwater-import-")
        self._db = sqlite3.connect(Path(self._directory.name) / "seen", isolation_level=None)
        self._db.execute("pragma journal_mode = off")
        self._db.execute("pragma synchronous = off")
        self._db.execute("create table seen (key text primary key, line integer, accepted integer) without rowid")
        self._db.execute("create table laid (place integer primary key, wave integer, parent text, row blob)")
        self._db.execute("create index laid_wave on laid (wave)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        self._directory.cleanup()

    def first_line(self, key: str, line: int) -> int:
        """The line where this key stood first: ``line`` itself if it is new."""
        if self._db.execute("insert or ignore into seen values (?, ?, 0)", (key, line)).rowcount:
            return line
        (first,) = self._db.execute("select line from seen where key = ?", (key,)).fetchone()
        return int(first)

    def lay_aside(self, wave: int, parent: str, row: dict[str, Any]) -> None:
        """Keeps a row that waits for the row called ``parent``."""
        self._db.execute("insert into laid (wave, parent, row) values (?, ?, ?)", (wave, parent, orjson.dumps(row)))

    def laid_aside(self, wave: int, chunk: int) -> list[tuple[str, dict[str, Any]]]:
        """Takes at most ``chunk`` rows of a wave out, in order, each with the parent it waits for."""
        found = self._db.execute(
            "select place, parent, row from laid where wave = ? order by place limit ?", (wave, chunk)
        ).fetchall()
        self._db.executemany("delete from laid where place = ?", [(place,) for place, _, _ in found])
        return [(parent, orjson.loads(row)) for _, parent, row in found]

    def accept(self, keys: Sequence[str]) -> None:
        """Rows of these keys stand, or would stand."""
        self._db.executemany("update seen set accepted = 1 where key = ?", [(key,) for key in keys])

    def is_accepted(self, key: str) -> bool:
        return self._db.execute("select 1 from seen where key = ? and accepted", (key,)).fetchone() is not None
