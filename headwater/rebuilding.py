"""``headwater rebuild --from lake``: throws every read model away and makes it anew from the history alone."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from headwater import fingerprint, searching
from headwater.config import Config
from headwater.lake import lake
from headwater.state import Home
from pipelines.lake.rebuilding import rebuild_mirrors
from pipelines.refresh.errors import LaneTaken
from pipelines.refresh.worker import drain
from warehouse import digests
from warehouse.compile import build
from warehouse.lake.dimensions import copy_dimension_changes

Digests = dict[str, digests.Digest]


def rebuild_from_lake(home: Home, config: Config) -> Iterator[str]:
    """Says what was rebuilt, and whether it is what stood before. Beside the running system; may be repeated.

    Mirrors first, each source in one transaction; then what dimensions need of dropped days; then every model by dbt;
    then every search index. Raises LakeError, DbtError, SearchError.
    """
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        before = digests.mirrors(warehouse)
        landed = _landed(warehouse)
        for done in rebuild_mirrors(lake(config)):
            yield f"{done.table}: {done.rows:,} rows"
        yield from _compared("mirrors", before, digests.mirrors(warehouse), landed != _landed(warehouse))
        copied = copy_dimension_changes(lake(config))
        yield f"dimensions with a history: {copied:,} changes of days that the change log dropped"
        _refresh(config, home)
        before, landed = digests.marts(warehouse), _landed(warehouse)
        report = build(config.warehouse_url(), target=home.dbt)
        fingerprint.record(home, "marts")
        yield ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
        yield from (f"! {warning}" for warning in report.warnings)
        yield from _compared("marts", before, digests.marts(warehouse), landed != _landed(warehouse))
    yield from searching.rebuild(home, config)


def _refresh(config: Config, home: Home) -> None:
    """What the mirror's rebuild asks of the hot lane; its resident worker does it where one runs."""
    try:
        drain(config.warehouse_url(), home.hot)
    except LaneTaken:
        return


def _landed(warehouse: psycopg.Connection[tuple[object, ...]]) -> object:
    return warehouse.execute("select max(batch_id) from log.batch").fetchone()


def _compared(what: str, before: Digests, after: Digests, moved: bool) -> Iterator[str]:
    """Differences by name, unless changes landed meanwhile, of which they may come."""
    differing = [name for name in after if before.get(name) != after[name]]
    rows = sum(count for count, _ in after.values())
    if not differing:
        yield f"{what}: {len(after)} tables, {rows:,} rows, equal to what stood before"
    elif moved:
        yield f"{what}: {len(after)} tables, {rows:,} rows; changes landed meanwhile, in {', '.join(differing)}"
    else:
        for name in differing:
            was, now = before.get(name, (0, 0))[0], after[name][0]
            yield f"! {name} differs from what stood before: {was:,} rows then, {now:,} now"
