"""Files and mappings written by a test, and imports of them by an administrator."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cast import the_cast
from tests.world import World
from transactional.importers.tabular import mapping
from transactional.importers.tabular.outcome import Outcome
from transactional.importers.tabular.run import import_file
from transactional.importers.tabular.targets import targets

ACCOUNTS: dict[str, Any] = {
    "target": "accounts",
    "source": "elsewhere",
    "key": "id",
    "fields": {"name": "name", "account_type": {"value": "Customer"}},
}


@dataclass
class Bench:
    """``file`` writes one; ``run`` imports it by a mapping given as a document."""

    world: World
    directory: Path
    ctx: Any

    def file(self, content: str | bytes, name: str = "rows.csv", encoding: str = "utf-8") -> Path:
        path = self.directory / name
        data = content if isinstance(content, bytes) else content.encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    def rules(self, document: dict[str, Any]) -> mapping.Rules:
        return mapping.check("the mapping", document, targets())

    def run(self, path: Path, document: dict[str, Any] | None = None, **options: Any) -> Outcome:
        options.setdefault("rejects", self.directory / "rejected.csv")
        return import_file(path, self.rules(document or ACCOUNTS), targets(), self.ctx, **options)

    @property
    def rejected(self) -> list[str]:
        """Lines of the file of refused rows."""
        return (self.directory / "rejected.csv").read_text().splitlines()

    def names(self) -> list[str]:
        return [row["name"] for row in self.world.rows("select name from contacts.account order by account_number")]

    def empty(self) -> None:
        tables = ("account", "contact", "account_contact", "outbox", "external_reference")
        with self.world.superuser() as connection:
            connection.execute(f"truncate {', '.join(f'contacts.{table}' for table in tables)} cascade".encode())


@pytest.fixture
def bench(world: World, tmp_path: Path) -> Bench:
    """Each test begins without accounts."""
    made = Bench(world, tmp_path, the_cast("sales_rep").admin.ctx(reason="import of a test"))
    made.empty()
    return made
