"""Reading parquet and CSV files that somebody else made: what must be there, which rows are unusable and why.

Every frame read here carries ``row`` (the row's number in its file, from 1) and ``problem`` (null, or why the row is of
no use). Mappings add problems of their own with ``flag`` and take the rows apart with ``split``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from transactional.importers.company import Rejection

INTEGER = pl.Int64()
TEXT = pl.String()
FLAG = pl.Boolean()
DATE = pl.Date()
MONEY = pl.Decimal(19, 4)
REAL = pl.Float64()
"""What the source keeps as a binary fraction: 0.15 may stand there as 0.15000001. The mapping rounds."""

PARQUET, CSV = "parquet", "csv.gz"

_CALLED = {INTEGER: "a whole number", FLAG: "true or false", DATE: "a date", MONEY: "an amount", REAL: "a number"}


class MissingInput(Exception):
    """Files or columns that an import needs are absent or unreadable; ``missing`` names each. Nothing was written."""

    def __init__(self, directory: Path, missing: list[str]) -> None:
        self.directory = directory
        self.missing = missing
        super().__init__(f"{directory} cannot be imported, nothing was written: " + "; ".join(missing) + ".")


@dataclass(frozen=True)
class Sheet:
    """A file that is needed: ``required`` columns hold a value in every usable row, ``optional`` ones may be null.

    ``key`` is unique in the file; a row that repeats one is a problem. ``kind`` is PARQUET or CSV (a header, commas,
    UTF-8, an empty value is null).
    """

    name: str
    key: tuple[str, ...]
    required: Mapping[str, pl.DataType]
    optional: Mapping[str, pl.DataType] = field(default_factory=dict)
    kind: str = PARQUET

    @property
    def file(self) -> str:
        return f"{self.name}.{self.kind}"

    @property
    def columns(self) -> dict[str, pl.DataType]:
        return {**self.required, **self.optional}


def check(directory: Path, sheets: Iterable[Sheet]) -> None:
    """Raises MissingInput with every absent file, unreadable file and absent column at once."""
    missing = []
    for sheet in sheets:
        path = directory / sheet.file
        if not path.is_file():
            missing.append(f"file {sheet.file} is absent")
            continue
        try:
            present = _columns(path, sheet)
        except (pl.exceptions.PolarsError, OSError) as error:
            missing.append(f"file {sheet.file} is not readable {sheet.kind} ({error})")
            continue
        missing += [f"column {column} of {sheet.file} is absent" for column in sheet.columns if column not in present]
    if missing:
        raise MissingInput(directory, missing)


def _columns(path: Path, sheet: Sheet) -> Collection[str]:
    if sheet.kind == CSV:
        return pl.read_csv(path, n_rows=0, infer_schema=False).columns
    return pl.read_parquet_schema(path).keys()


def _rows(path: Path, sheet: Sheet) -> pl.DataFrame:
    if sheet.kind == CSV:
        return pl.read_csv(path, columns=list(sheet.columns), infer_schema=False)
    return pl.read_parquet(path, columns=list(sheet.columns))


def read(directory: Path, sheet: Sheet) -> pl.DataFrame:
    """The sheet's columns in its types, ``row`` and ``problem``; values that do not fit their type become problems.

    Raises MissingInput for a file that is cut short, or a column that is no list of plain values.
    """
    try:
        raw = _rows(directory / sheet.file, sheet).with_row_index("row", offset=1)
        typed = _typed(raw, sheet)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise MissingInput(directory, [f"file {sheet.file} cannot be read ({error})"]) from error
    for name, dtype in sheet.columns.items():
        source = f"{name}__raw"
        if source in typed.columns:
            reason = pl.format(f"{name} '{{}}' is not {_CALLED.get(dtype, 'text')}", pl.col(source))
            typed = flag(typed, pl.col(name).is_null() & pl.col(source).is_not_null(), reason).drop(source)
    for name in sheet.required:
        typed = flag(typed, pl.col(name).is_null(), f"{name} is empty")
    again = pl.struct(sheet.key).is_duplicated() & ~pl.struct(sheet.key).is_first_distinct()
    key = pl.concat_str([pl.col(name).cast(pl.String) for name in sheet.key], separator=", ")
    return flag(typed, again, pl.format(f"{', '.join(sheet.key)} {{}} stands in an earlier row already", key))


def _typed(raw: pl.DataFrame, sheet: Sheet) -> pl.DataFrame:
    """The columns cast, and ``<column>__raw`` with the text of those that came in another type."""
    return raw.select(
        pl.col("row").cast(pl.Int64),
        *(_cast(pl.col(name), raw.schema[name], dtype) for name, dtype in sheet.columns.items()),
        *(
            pl.col(name).cast(pl.String).alias(f"{name}__raw")
            for name, dtype in sheet.columns.items()
            if raw.schema[name] != dtype
        ),
        pl.lit(None, pl.String).alias("problem"),
    )


def _cast(column: pl.Expr, given: pl.DataType, dtype: pl.DataType) -> pl.Expr:
    if given == TEXT and dtype == DATE:
        return column.str.to_date("%Y-%m-%d", strict=False)
    return column.cast(dtype, strict=False)


def flag(frame: pl.DataFrame, when: pl.Expr, reason: pl.Expr | str) -> pl.DataFrame:
    """Marks the rows where ``when`` holds; a row keeps the first reason it got."""
    said = pl.lit(reason) if isinstance(reason, str) else reason
    return frame.with_columns(problem=pl.coalesce("problem", pl.when(when).then(said)))


def unknown(
    frame: pl.DataFrame, column: str, known: pl.Series, what: str, *, called: str | None = None
) -> pl.DataFrame:
    """Marks the rows whose ``column`` has a value that is not among ``known``; the reason shows ``called``."""
    reason = pl.format(f"{called or column} {{}} is no {what} that can be imported", pl.col(called or column))
    return flag(frame, pl.col(column).is_not_null() & ~pl.col(column).is_in(known.implode()), reason)


def split(frame: pl.DataFrame, file: str) -> tuple[pl.DataFrame, list[Rejection]]:
    """Usable rows without ``problem``, and a rejection for each of the others."""
    bad = frame.filter(pl.col("problem").is_not_null()).select("row", "problem")
    rejections = [Rejection(file, row, reason) for row, reason in bad.iter_rows()]
    return frame.filter(pl.col("problem").is_null()).drop("problem"), rejections
