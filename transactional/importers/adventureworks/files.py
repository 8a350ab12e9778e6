"""One reading of the directory: sheets with their unusable rows taken out and remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from transactional.importers import parquet
from transactional.importers.adventureworks import tables
from transactional.importers.company import ADDRESS, Rejection
from transactional.importers.parquet import Sheet


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
        return parquet.read(self.directory, sheet)

    def usable(self, frame: pl.DataFrame, sheet: Sheet) -> pl.DataFrame:
        good, rejected = parquet.split(frame, sheet.file)
        self.rejections += rejected
        return good

    def read(self, sheet: Sheet) -> pl.DataFrame:
        return self.usable(self.raw(sheet), sheet)

    def addresses(self) -> pl.DataFrame:
        """``AddressID`` → ``address``, a struct as the services keep it (country in ISO 3166-1 alpha-2)."""
        states = self.read(tables.STATE).select(
            "StateProvinceID", region="Name", country=pl.col("CountryRegionCode").str.strip_chars()
        )
        raw = self.raw(tables.ADDRESS)
        raw = parquet.unknown(raw, "StateProvinceID", states["StateProvinceID"], "state or province")
        return (
            self.usable(raw, tables.ADDRESS)
            .join(states, on="StateProvinceID", how="left")
            .select(
                "AddressID",
                address=pl.struct(
                    line1="AddressLine1",
                    line2="AddressLine2",
                    city="City",
                    region="region",
                    postal_code="PostalCode",
                    country="country",
                ).cast(ADDRESS),
            )
        )
