"""Where an installation's search is: the engine that was chosen, and the warehouse that feeds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Meilisearch at ``url`` (with the API key ``key``) where one is given, else tantivy in ``directory``.

    ``prefix`` names this installation's indexes on a Meilisearch server that others use too.
    """

    directory: Path
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    prefix: str = "headwater"
