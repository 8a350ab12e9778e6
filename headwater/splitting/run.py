"""The steps of a split, each stored when it is done, so that a second call goes on after the last one."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Final

import psycopg

from cdc.failpoints import reach
from headwater.config import SERVICES, Config
from headwater.splitting import checks, closing, copying, streams
from headwater.splitting.cutover import cut_over
from headwater.splitting.errors import SplitError
from headwater.splitting.places import SHARED, Places, normalised, places
from headwater.splitting.placing import is_placed
from headwater.splitting.provision import provision
from headwater.splitting.state import Split, stored
from headwater.state import Home

FAILPOINTS: Final = (
    "split.after_begun",
    "split.after_provisioned",
    "split.after_copying",
    "split.after_copied",
    "split.after_fence",
    "split.after_compare",
    "split.after_slots",
    "split.after_placed",
    "split.after_switched",
    "split.after_events",
    "handover.before_commit",
    "split.after_mirrors",
    "split.after_streamed",
    "split.after_closed",
)

PLAN: Final = (
    "make roles, schema, tables, publications and event trigger in the new database",
    "copy the rows by logical replication, while everybody writes",
    "pause {service}: end its sessions, apply the last rows, compare every table, make the new slots",
    "write the new place into the configuration; {service} goes on there",
    "wait until landing and dispatch have read the old stream to its end, then give mirrors and events to the new one",
    "end the copy, and take every right on the old tables away (`headwater split {service} --drop-old` deletes them)",
)


def plan(home: Home, config: Config, service: str, url: str, password: str | None) -> Iterator[str]:
    """Checks everything and says the steps; changes nothing. Raises SplitError."""
    split = stored(home, service)
    if split is not None:
        yield f"begun at {split.begun_at}, {split.step} so far; the same command without --dry-run goes on."
        return
    yield from _checked(config, places(config, service, normalised(config, url, password)))
    for number, step in enumerate(PLAN, 1):
        yield f"{number}. {step.format(service=service)}"


def run(home: Home, config: Config, service: str, url: str | None, password: str | None) -> Iterator[str]:
    """Begins the split or goes on with it; says what it does. Raises SplitError, after which it may be run again."""
    split = stored(home, service)
    if split is None:
        if url is None:
            raise SplitError(f"nothing of {service} is under way; say where it is to go with --to.")
        split = yield from _begin(home, config, service, normalised(config, url, password))
    elif url is not None and normalised(config, url, None).rpartition("@")[2] != split.place:
        raise SplitError(f"{service} is on its way to {split.place} (since {split.begun_at}); leave --to out to go on.")
    where = places(config, service, split.url)
    if split.has("done"):
        raise SplitError(f"{service} is in {split.place} already; `headwater split {service} --drop-old` is left.")
    if not split.has("provisioned"):
        yield f"making {service}'s tables in {split.place}"
        provision(where)
        split = _done(home, split.at("provisioned"))
        reach("split.after_provisioned")
    if not split.has("copying"):
        copying.begin(where, split.secret)
        split = _done(home, split.at("copying"))
        reach("split.after_copying")
    if not split.has("copied"):
        yield "copying rows while everybody writes"
        copying.await_copy(where)
        split = _done(home, split.at("copied"))
        reach("split.after_copied")
    if not split.has("switched"):
        if not is_placed(home, service):  # else killed between the configuration and its own state
            split = cut_over(home, where, split)
            reach("split.after_placed")
            yield f"{service} writes {split.place} now; it was paused for {split.pause:.2f} s"
        split = _done(home, split.at("switched"))
        reach("split.after_switched")
    if not split.has("streamed"):
        streams.move(home, where, split)
        split = _done(home, split.at("streamed"))
        yield "landing and dispatch read the new database"
        reach("split.after_streamed")
    closing.close(where, split)
    reach("split.after_closed")
    streams.restart(home, "dagster")
    _done(home, split.at("done"))
    yield f"{service} lives in {split.place}. The old tables stand read-only: `headwater split {service} --drop-old`."


def drop_old(home: Home, config: Config, service: str) -> Iterator[str]:
    """Deletes the old tables of a service whose split is done. Raises SplitError before that."""
    split = stored(home, service)
    if split is None:
        raise SplitError(f"nothing of {service} was left behind in {SHARED}.")
    if not split.has("done"):
        raise SplitError(f"{service} has not arrived in {split.place} yet: `headwater split {service}` goes on.")
    closing.drop_old(places(config, service, split.url))
    split.forget(home)
    yield f"the old tables of {service} are deleted."


def give_up(home: Home, config: Config, service: str) -> Iterator[str]:
    """Takes a split back that has not reached its cut-over. Raises SplitError after that."""
    split = stored(home, service)
    if split is None:
        raise SplitError(f"nothing of {service} is under way.")
    if is_placed(home, service):
        raise SplitError(
            f"{service} writes {split.place} already and cannot be taken back; `headwater split {service}` goes on."
        )
    problem = closing.give_up(places(config, service, split.url), split)
    split.forget(home)
    yield problem or f"{split.place} is as it was."
    yield f"{service} stays in {SHARED}."


def _begin(home: Home, config: Config, service: str, url: str) -> Generator[str, None, Split]:
    where = places(config, service, url)
    yield from _checked(config, where)
    with where.new("postgres") as server:
        name = url.rpartition("/")[2]
        database = server.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        wanted = [*where.roles, "hw_dispatch", "hw_replication"]
        known = {row[0] for row in server.execute("select rolname from pg_roles where rolname = any(%s)", [wanted])}
    split = Split(
        service,
        url,
        secret=secrets.token_urlsafe(24),
        begun_at=datetime.now(UTC).isoformat(timespec="seconds"),
        made_database=database is None,
        made_roles=[role for role in wanted if role not in known],
    )
    _done(home, split)
    reach("split.after_begun")
    return split


def _checked(config: Config, where: Places) -> Iterator[str]:
    """Raises SplitError for what is not as it must be."""
    if config.source_of(where.service) != SHARED:
        raise SplitError(f"{where.service} has a database of its own already.")
    if not where.staying:
        raise SplitError(f"{where.service} is alone in {SHARED} already, out of {', '.join(SERVICES)}.")
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        checks.check_landing(warehouse, where.service)
    yield from checks.check(where)


def _done(home: Home, split: Split) -> Split:
    split.save(home)
    return split
