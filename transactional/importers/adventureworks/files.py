"""What AdventureWorks' files hold that several of its mappings need."""

from __future__ import annotations

import polars as pl

from transactional.importers import files, sheets
from transactional.importers.adventureworks import tables
from transactional.importers.company import ADDRESS


class Files(files.Files):
    def addresses(self) -> pl.DataFrame:
        """``AddressID`` → ``address``, a struct as the services keep it (country in ISO 3166-1 alpha-2)."""
        states = self.read(tables.STATE).select(
            "StateProvinceID", region="Name", country=pl.col("CountryRegionCode").str.strip_chars()
        )
        raw = self.raw(tables.ADDRESS)
        raw = sheets.unknown(raw, "StateProvinceID", states["StateProvinceID"], "state or province")
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
