"""Rows of a CSV or Parquet file one by one, each with the line where it begins; memory stays what a row takes.

The csv module reads CSV, not polars: a row of too many values must be refused by its line while all others go on, and
polars counts no lines and either drops what is too much or stops (ADR 50).
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import polars as pl

from transactional.importers.tabular.errors import FileError

MAX_VALUE = 1_000_000
"""Characters of one value, and ten times that of one line: what is longer comes of a quote that is never closed."""

REJECTED = "headwater_line"
"""First column of a file of refused rows (``outcome.py``): the line that a row had in its own file."""

SEPARATORS = (",", ";", "\t", "|")
_BLOCK = 1 << 20
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(slots=True)
class Record:
    """``values`` as many as there are columns, unless ``problem`` says what is wrong; ``raw``: the row as it stood."""

    line: int
    values: Sequence[Any]
    raw: Sequence[str]
    problem: str = ""


class Table(Protocol):
    """A file of rows. ``columns`` are its columns' names."""

    path: Path
    columns: list[str]

    def __iter__(self) -> Iterator[Record]: ...


@dataclass(frozen=True)
class Dialect:
    encoding: str
    separator: str
    quote: str = '"'
    columns: tuple[str, ...] = ()
    """Of a file without a header."""


class CsvTable:
    """Raises FileError for a file that cannot be read to its end; a row that is wrong in itself has a problem."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path = path
        self.dialect = dialect
        if dialect.columns and self._header(at_most=1) == [REJECTED]:  # refused rows of such a file have a header
            self.dialect = replace(dialect, columns=())
        self.columns = list(self.dialect.columns) or self._header()

    def __iter__(self) -> Iterator[Record]:
        rows = self._rows()
        if not self.dialect.columns:
            next(rows, None)
        width = len(self.columns)
        for record in rows:
            if not record.problem and len(record.values) != width:
                more = "more" if len(record.values) > width else "fewer"
                record.problem = f"it has {len(record.values)} values, {more} than the {width} columns of the header."
            yield record

    def _header(self, at_most: int | None = None) -> list[str]:
        first = next(self._rows(), None)
        if first is None:
            raise FileError(f"{self.path.name} is empty: there is not even a header.")
        names = [name.strip() or f"column_{place}" for place, name in enumerate(first.raw[:at_most], 1)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FileError(f"{self.path.name} has two columns {', '.join(twice)}: give each a name of its own.")
        return names

    def _rows(self) -> Iterator[Record]:
        with opened(self.path, self.dialect.encoding) as text:
            lines = _Lines(text, self.path)
            reader = csv.reader(lines, delimiter=self.dialect.separator, quotechar=self.dialect.quote, strict=True)
            while True:
                begins = lines.number + 1
                lines.kept.clear()
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield self._broken(str(error), begins, lines)
                    continue
                if values:
                    yield Record(begins, values, values)

    def _broken(self, error: str, begins: int, lines: _Lines) -> Record:
        if "field larger" in error or "unexpected end" in error:
            raise FileError(
                f"{self.path.name} line {begins}: a quote is opened in this row and never closed (looked until line "
                f"{lines.number}). Close it, or double it if it belongs to the text; or name another quote in [file]."
            )
        raw = ["".join(lines.kept).rstrip("\r\n")]
        advice = "a quote within a quoted value is written twice." if "expected after" in error else error
        return Record(begins, (), raw, f"it is not written as CSV: {advice}")


class _Lines:
    """Lines of a text, counted, the current row's kept."""

    def __init__(self, text: IO[str], path: Path) -> None:
        self.number = 0
        self.kept: list[str] = []
        self._text = text
        self._path = path

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_VALUE * 10)
        if not line:
            raise StopIteration
        if len(line) == MAX_VALUE * 10:
            raise FileError(f"{self._path.name} line {self.number + 1} is longer than {MAX_VALUE * 10:,} characters.")
        self.number += 1
        self.kept.append(line)
        return line


class ParquetTable:
    """A Parquet file; ``line`` is the row's number from 1. Columns of nested values are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            schema = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise FileError(f"{path.name} is not readable Parquet: {error}.") from error
        self.columns = [name for name, dtype in schema.items() if not dtype.is_nested()]

    def __iter__(self) -> Iterator[Record]:
        line = 0
        try:
            for batch in pl.scan_parquet(self.path).select(self.columns).collect_batches(chunk_size=10_000):
                for row in batch.iter_rows():
                    line += 1
                    yield Record(line, row, ["" if value is None else str(value) for value in row])
        except (pl.exceptions.PolarsError, OSError) as error:
            raise FileError(f"{self.path.name} cannot be read after row {line}: {error}.") from error


@contextmanager
def opened(path: Path, encoding: str) -> Iterator[IO[str]]:
    """The text of a file, gzip'd or not. Raises FileError for what cannot be read."""
    csv.field_size_limit(MAX_VALUE)
    try:
        with path.open("rb") as file:
            inner: Any = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file
            with io.TextIOWrapper(inner, encoding=encoding, errors="strict", newline="") as text:
                yield text
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path.name} cannot be read: {error}.") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path.name} is not written in {encoding}: {error.reason}.") from error


def is_parquet(path: Path) -> bool:
    """By its first bytes, whatever it is called. Raises FileError."""
    try:
        with path.open("rb") as file:
            return file.read(4) == _PARQUET
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def encoding_of(path: Path) -> str:
    """``utf-8``, ``utf-8-sig``, ``utf-16`` or ``windows-1252``, from every byte of the file. Raises FileError.

    Text that is no UTF-8 is taken for Windows-1252 where all of its bytes have a meaning there.
    """
    with _bytes(path) as file:
        start = file.read(4)
        for mark, encoding in _BOMS:
            if start.startswith(mark):
                return encoding
        decoder = codecs.getincrementaldecoder("utf-8")()
        wrong: int | None = None
        line, undefined, nuls, block = 1, 0, 0, start
        while block:
            if wrong is None:
                try:
                    decoder.decode(block)
                    line += block.count(b"\n")
                except UnicodeDecodeError as error:
                    wrong = line + block[: error.start].count(b"\n")
            undefined += sum(block.count(byte) for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))
            nuls += block.count(b"\x00")
            block = file.read(_BLOCK)
    if wrong is None:
        return "utf-8"
    if undefined or nuls:
        raise FileError(
            f"{path.name} line {wrong}: the text is neither UTF-8 nor Windows-1252. Say its encoding in [file]."
        )
    return "windows-1252"


@contextmanager
def _bytes(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be read: {error}.") from error


def separator_of(path: Path, encoding: str, quote: str = '"', wanted: Iterable[str] = ()) -> str:
    """The separator with which the header has most of the ``wanted`` columns, else most columns at all."""
    names = set(wanted)

    def worth(separator: str) -> tuple[int, int]:
        try:
            header = next(CsvTable(path, Dialect(encoding, separator, quote, columns=("?",)))._rows()).raw
        except (StopIteration, FileError):
            return (0, 0)
        return (len(names & {name.strip() for name in header}), len(header))

    return max(SEPARATORS, key=worth)
