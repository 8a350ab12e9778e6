"""Which search engine this installation uses: Meilisearch where ``HEADWATER_SEARCH_URL`` names one, else tantivy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from headwater.config import Config
from headwater.state import Home
from search.place import Place


def place(config: Config) -> Place:
    """``HEADWATER_SEARCH_KEY`` is the server's API key; ``HEADWATER_SEARCH_PREFIX`` begins the names of its indexes,
    so that several installations may share a server (``headwater``).
    """
    return Place(
        directory=Path(config.home) / "search",
        url=os.environ.get("HEADWATER_SEARCH_URL") or None,
        key=os.environ.get("HEADWATER_SEARCH_KEY") or None,
        prefix=os.environ.get("HEADWATER_SEARCH_PREFIX") or "headwater",
    )


def rebuild(home: Home, config: Config) -> Iterator[str]:
    """Builds every index anew beside the one that is searched; says what it holds. Raises SearchError, NotHeld."""
    from headwater.supervisor.hold import held
    from search.mending import rebuild as build

    with held(home, "search"):
        for built in build(config.warehouse_url(), place(config)):
            yield f"{built.entity}: {built.documents:,} documents in {built.seconds:.1f} s"


def reconcile(home: Home, config: Config, *, mend: bool) -> Iterator[tuple[str, int]]:
    """Compares every index with the documents of the mirror: sentences, each with how much was left as it was."""
    from headwater.supervisor.hold import held
    from search.mending import compare

    with held(home, "search"):
        for report in compare(config.warehouse_url(), place(config), mend=mend):
            left = report.differences - report.mended
            yield (
                f"{report.entity}: {report.documents:,} documents, {report.differences:,} differ,"
                f" {report.mended:,} mended",
                left,
            )
            for kind, ids in report.examples.items():
                more = report.counts[kind] - len(ids)
                yield f"  {kind}: {', '.join(map(str, ids))}{f' and {more:,} more' if more else ''}", 0
