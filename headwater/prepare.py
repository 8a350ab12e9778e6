"""Prepares the databases and the marts for this version of the code. Running it again changes nothing."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from headwater import config, fingerprint
from headwater.acting import ADMINISTRATOR, host_every_service
from headwater.config import Config
from headwater.state import Home
from policy.principal import Principal

SETUP = Principal(user_id=None, name="headwater up", roles=frozenset({"admin"}))
"""Who acts while the installation is set up and there is nobody yet."""

MIRROR_TIMEOUT = 300.0
"""Seconds for landing to make the mirror of every published table; an initial read of large tables takes its time."""


class PreparationError(Exception):
    """What could not be prepared, and why."""


def databases(home: Home) -> None:
    """Roles, databases, schemas, tables, publications, subscriptions, slots, and the administrator's login.

    Slots come before anything writes, so that nothing that is written is missed.
    """
    from headwater import lake, landing
    from headwater.kafka import profile
    from headwater.provision import dagster, oltp, stream, warehouse

    settings = config.current()
    host_every_service()
    from transactional.kernel.inbox import subscriptions

    oltp.provision(settings)
    warehouse.provision(settings)
    lake.prepare(settings)
    dagster.provision(settings)
    stream.provision(settings, {service: subscriptions(service) for service in config.SERVICES})
    landing.make_slots(settings)
    if settings.kafka_brokers:
        profile.write_secrets(home, settings)
    administrator(home)
    fingerprint.record(home, "databases")


def administrator(home: Home) -> None:
    """The first user, with a random password that stands in login.txt (0600) and nowhere else in clear text."""
    from transactional.identity.models import UserAccount
    from transactional.kernel.calls import execute
    from transactional.kernel.context import Context

    if UserAccount.objects.filter(username=ADMINISTRATOR).exists():
        return
    if not home.login.exists():  # a run that was killed before the user was made has left its password
        home.login.touch(mode=0o600)
        home.login.write_text(f"username: {ADMINISTRATOR}\npassword: {secrets.token_urlsafe(12)}\n")
    password = home.login.read_text().split("password: ", 1)[1].strip()
    user = {"username": ADMINISTRATOR, "display_name": "Administrator", "password": password, "roles": ["admin"]}
    execute("identity.create_user", user, Context(actor=SETUP, reason="first start"))


def marts(home: Home) -> None:
    """Builds every model once landing has made the mirrors that they stand on, and compiles the hot lane's SQL."""
    from warehouse.compile import build, compile_hot

    settings = config.current()
    with ThreadPoolExecutor(1) as pool:
        compiled = pool.submit(compile_hot, home.hot)
        await_mirrors(settings)
        build(settings.warehouse_url(), tests=False, target=home.dbt)
        compiled.result()
    fingerprint.record(home, "marts")


def await_mirrors(settings: Config) -> None:
    """Waits until the mirror of every published table stands and its first read is done. Raises PreparationError."""
    wanted = published(settings)
    deadline = time.monotonic() + MIRROR_TIMEOUT
    with psycopg.connect(settings.warehouse_url(), autocommit=True) as warehouse:
        while missing := wanted - mirrored(warehouse):
            if time.monotonic() > deadline:
                state = warehouse.execute("select source, state, error from log.source_state").fetchall()
                raise PreparationError(
                    f"Landing made no mirror of {', '.join(sorted(missing))} in {MIRROR_TIMEOUT:.0f} s; it is {state}."
                )
            time.sleep(0.1)


def published(settings: Config) -> set[str]:
    """``schema.table`` of everything that has a mirror: what is published, outboxes excepted."""
    from headwater.landing import databases

    found = set()
    for source in databases(settings):
        with psycopg.connect(source.dsn, autocommit=True) as database:
            rows = database.execute(
                "select schemaname || '.' || tablename from pg_publication_tables"
                " where pubname = %s and tablename <> 'outbox'",
                [source.publications[0]],
            )
            found |= {str(row[0]) for row in rows}
    return found


def mirrored(warehouse: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    """``schema.table`` of every mirror that stands, of sources that are not being read for the first time."""
    rows = warehouse.execute(
        "select m.schema_name || '.' || m.table_name from log.mirror m where m.dropped_at is null and not exists ("
        " select from log.snapshot s where s.source = m.source and s.purpose = 'initial' and s.finished_at is null)"
    )
    return {str(row[0]) for row in rows}
