"""Reading parquet files that somebody else made: what must be there, which rows are unusable and why.

Every frame read here carries ``row`` (the row's number in its file, from 1) and ``problem`` (null, or why the row is of
no use). Mappings add problems of their own with ``flag`` and take the rows apart with ``split``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from transactional.importers.company import Rejection

INTEGER = pl.Int64()
TEXT = pl.String()
FLAG = pl.Boolean()
DATE = pl.Date()
MONEY = pl.Decimal(19, 4)

_CALLED = {INTEGER: "a whole number", FLAG: "true or false", DATE: "a date", MONEY: "an amount"}


class MissingInput(Exception):
    """Files or columns that an import needs are absent or unreadable; ``missing`` names each. Nothing was written."""

    def __init__(self, directory: Path, missing: list[str]) -> None:
        self.directory = directory
        self.missing = missing
        super().__init__(f"{directory} cannot be imported, nothing was written: " + "; ".join(missing) + ".")


@dataclass(frozen=True)
class Sheet:
    """A file that is needed: ``required`` columns hold a value in every usable row, ``optional`` ones may be null.

    ``key`` is unique in the file; a row that repeats one is a problem.
    """

    name: str
    key: tuple[str, ...]
    required: Mapping[str, pl.DataType]
    optional: Mapping[str, pl.DataType] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}.parquet"

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
            present = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            missing.append(f"file {sheet.file} is not readable parquet ({error})")
            continue
        missing += [f"column {column} of {sheet.file} is absent" for column in sheet.columns if column not in present]
    if missing:
        raise MissingInput(directory, missing)


def read(directory: Path, sheet: Sheet) -> pl.DataFrame:
    """The sheet's columns in its types, ``row`` and ``problem``; values that do not fit their type become problems.

    Raises MissingInput for a file that is cut short, or a column that is no list of plain values.
    """
    try:
        raw = pl.read_parquet(directory / sheet.file, columns=list(sheet.columns)).with_row_index("row", offset=1)
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
        *(pl.col(name).cast(dtype, strict=False) for name, dtype in sheet.columns.items()),
        *(
            pl.col(name).cast(pl.String).alias(f"{name}__raw")
            for name, dtype in sheet.columns.items()
            if raw.schema[name] != dtype
        ),
        pl.lit(None, pl.String).alias("problem"),
    )


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
