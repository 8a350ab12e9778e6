"""One reading of a directory: sheets with their unusable rows taken out and remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from transactional.importers import sheets
from transactional.importers.company import Rejection
from transactional.importers.sheets import Sheet


def reference(kind: str, column: str) -> pl.Expr:
    """``customer:29825``; null where the column is."""
    return pl.format(f"{kind}:{{}}", pl.col(column))


@dataclass
class Files:
    """``rejections`` grows as sheets are read and mapped."""

    directory: Path
    rejections: list[Rejection] = field(default_factory=list)

    def raw(self, sheet: Sheet) -> pl.DataFrame:
        """All rows, with ``problem``, for a mapping that adds problems of its own before it calls ``usable``."""
        return sheets.read(self.directory, sheet)

    def usable(self, frame: pl.DataFrame, sheet: Sheet) -> pl.DataFrame:
        good, rejected = sheets.split(frame, sheet.file)
        self.rejections += rejected
        return good

    def read(self, sheet: Sheet) -> pl.DataFrame:
        return self.usable(self.raw(sheet), sheet)
