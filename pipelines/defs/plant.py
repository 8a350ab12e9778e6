"""What the composition root gives to these definitions: databases and folders of one installation, nothing global."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.delivery import Channels
from pipelines.landing.worker import SourceDatabase

if TYPE_CHECKING:
    from search.place import Place
    from warehouse.lake.place import Lake


@dataclass(frozen=True, slots=True)
class Plant:
    """One installation. ``manifest`` is what ``warehouse.compile.compile_hot`` made, ``hot`` the folder it did so in.

    ``dbt`` is the folder of full builds; ``run`` that of the heartbeats. ``storage_dsn`` is Dagster's own database.
    ``lake`` and ``search`` give their places when a run asks, because their libraries are large.
    """

    warehouse_dsn: str = field(repr=False)
    storage_dsn: str = field(repr=False)
    sources: Sequence[SourceDatabase]
    manifest: Path
    hot: Path
    dbt: Path
    run: Path
    lake: Callable[[], Lake]
    search: Callable[[], Place]
    channels: Channels
    address: str
    """Where the web pages of Dagster are, for links in alerts."""

    def source(self, table: str) -> SourceDatabase:
        """The source that holds ``service.table``: the service's own database, or the shared one."""
        service = table.partition(".")[0]
        named = {database.name: database for database in self.sources}
        return named.get(service) or named["headwater"]
