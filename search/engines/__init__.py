"""The engines: Meilisearch for teams that run a server, tantivy in files of this installation for everybody else."""

from __future__ import annotations

from search.place import Place
from search.port import Engine


def open_engine(place: Place) -> Engine:
    """The engine that the installation chose. Opening asks nothing of it yet."""
    if place.url:
        from search.engines.meilisearch import Meilisearch

        return Meilisearch(place.url, place.key, place.prefix)
    from search.engines.tantivy import Tantivy

    return Tantivy(place.directory)
