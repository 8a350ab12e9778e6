"""Makes the schema of deliveries and its grants in the database ``stream``. Running it again changes nothing.

The database and its roles are made with the other OLTP databases (``headwater.provision.oltp``), before this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg

from headwater.config import SERVICES, Config
from pipelines.dispatch.schema import migrate


def provision(config: Config, subscriptions: Mapping[str, Iterable[str]]) -> None:
    """The schema ``stream``, what each service may do there, and which event types each service wants.

    ``subscriptions`` must name every hosted service before anything is written: an event that is dispatched while
    nobody subscribes reaches nobody.
    """
    with psycopg.connect(config.stream_url("postgres"), autocommit=True) as server:
        server.execute("revoke all on database stream from public")
        server.execute("revoke all on schema public from public")
        for service in SERVICES:
            server.execute(f"grant connect on database stream to hw_{service}".encode())
        server.execute("grant connect on database stream to hw_dispatch")
        server.execute("create schema if not exists stream authorization hw_dispatch")
    with psycopg.connect(config.stream_url("hw_dispatch"), autocommit=True) as owner:
        migrate(owner, [f"hw_{service}" for service in SERVICES])
        for service, event_types in subscriptions.items():
            wanted = sorted(set(event_types))
            owner.execute("select stream.subscribe(%s, %s, %s)", [service, wanted, ["*"] * len(wanted)])
