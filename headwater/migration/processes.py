"""Waiting for what the supervisor and the stream do, while saying what is waited for if it takes too long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import psycopg

from cdc.errors import ConnectBusy, ConnectUnavailable
from cdc.kafka_errors import KafkaUnavailable
from cdc.positions import format_lsn, parse_lsn
from headwater import config
from headwater.cli.errors import Refused
from headwater.config import Config
from headwater.kafka import profile
from headwater.migration.state import Move, flush
from headwater.state import Home, read_json
from headwater.supervisor.lock import Lock
from pipelines.landing.worker import SourceDatabase

PATIENCE = 300.0
"""Seconds for processes to start and for the stream to pass what was committed."""

LOOK = 0.1


def wait(home: Home, move: Move, missing: Callable[[], str | None], *, patience: float = PATIENCE) -> None:
    """Until ``missing`` names nothing; an outage of Kafka or Connect counts as something that is missing.

    Raises Refused, with the last answer, if that takes too long or nothing runs.
    """
    deadline = time.monotonic() + patience
    while (found := _missing(missing)) is not None:
        if Lock(home.run).holder() is None:
            raise Refused(f"Headwater does not run any more. Start it with `headwater up`, then `{move.command}`.")
        if time.monotonic() > deadline:
            raise Refused(
                f"{found.rstrip('.')}, still after {patience:.0f} s. What is done stays done: mend what `headwater "
                f"doctor` names, then `{move.command}` goes on."
            )
        time.sleep(LOOK)


def _missing(missing: Callable[[], str | None]) -> str | None:
    try:
        return missing()
    except (ConnectUnavailable, ConnectBusy, KafkaUnavailable) as error:
        return str(error)


def kafka_is_missing(home: Home, settings: Config) -> str | None:
    """Which of Kafka's processes does not answer yet, and its log."""
    programs = {"broker": profile.broker(home, settings)} | {w.name: w for w in profile.workers(home, settings)}
    silent = [name for name, program in programs.items() if not program.healthy()]
    return f"{', '.join(silent)} of Kafka is not ready (see {home.log(silent[0])})" if silent else None


def kafka_still_runs(home: Home) -> str | None:
    known = read_json(home.supervisor).get("processes", {})
    left = sorted({"broker", *profile.WORKERS} & known.keys())
    return f"{', '.join(left)} still runs" if left else None


def unpassed(settings: Config, marks: Mapping[str, int]) -> str | None:
    """Which sources have yet to land up to their mark, over whatever lands them."""
    with psycopg.connect(settings.warehouse_url(), autocommit=True) as warehouse:
        rows = warehouse.execute(
            "select source, greatest(p.lsn, k.mark)::text"
            " from log.position p left join log.kafka_source k using (source)"
        ).fetchall()
    landed = {source: parse_lsn(lsn) for source, lsn in rows}
    left = [source for source, mark in marks.items() if landed.get(source, 0) < mark]
    return f"landing of {', '.join(left)} has not passed {format_lsn(marks[left[0]])}" if left else None


def marks_of(sources: list[SourceDatabase]) -> dict[str, int]:
    return {database.name: database.mark() for database in sources}


def switch(home: Home, kafka_ports: Mapping[str, int]) -> None:
    """Makes the installation one of the Kafka profile, or of the embedded one if there are no ports; durably.

    Only what the file holds is kept: what this process's environment adds to it is not the installation's.
    """
    stored = config.parse(json.loads(home.config.read_text()))
    replace(stored, kafka_ports=dict(kafka_ports)).save()
    # Whoever starts after a loss of power must not read the slot as the profile did that it has left.
    flush(home.root)
