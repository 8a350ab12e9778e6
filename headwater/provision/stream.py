"""Makes the schema of deliveries, its grants and the dispatch slots. Running it again changes nothing.

The database ``stream``, the roles and the publications are made by ``headwater.provision.oltp``, before this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psycopg

from cdc.positions import Position
from cdc.slots import create_slot, mark_for_failover, read_epoch
from headwater.config import SERVICES, Config
from headwater.provision.names import DISPATCH, STREAM_DATABASE
from pipelines.dispatch.schema import migrate
from pipelines.dispatch.store import store_position, stored_position


@dataclass(frozen=True, slots=True)
class DispatchSource:
    """One database whose outboxes are dispatched: its name in positions, its slot, and the login of hw_replication."""

    name: str
    slot: str
    dsn: str = field(repr=False)
    services: tuple[str, ...]


def dispatch_sources(config: Config) -> list[DispatchSource]:
    """Every source. Names of slots are a cluster's, so a service with a database of its own has one of its name."""
    return [
        DispatchSource(
            name,
            DISPATCH if name == "headwater" else f"{DISPATCH}_{name}",
            config.service_url(services[0], role="hw_replication"),
            tuple(services),
        )
        for name, services in config.source_databases().items()
    ]


def provision(config: Config, subscriptions: Mapping[str, Iterable[str]]) -> None:
    """The schema ``stream``, what each service may do there, which event types each service wants, and the slots.

    Runs before anything is written: an event that commits without a slot, or is dispatched while nobody subscribes,
    reaches nobody. A slot that was lost is not made anew here: ``headwater repair`` does that, and reads the outboxes.
    """
    with psycopg.connect(config.stream_url("postgres"), autocommit=True) as server:
        server.execute(f"revoke all on database {STREAM_DATABASE} from public".encode())
        server.execute("revoke all on schema public from public")
        for role in ("hw_dispatch", *(f"hw_{service}" for service in SERVICES)):
            server.execute(f"grant connect on database {STREAM_DATABASE} to {role}".encode())
        server.execute("create schema if not exists stream authorization hw_dispatch")
    with psycopg.connect(config.stream_url("hw_dispatch"), autocommit=True) as owner:
        migrate(owner, [f"hw_{service}" for service in SERVICES])
        for service, event_types in subscriptions.items():
            wanted = sorted(set(event_types))
            owner.execute("select stream.subscribe(%s, %s, %s)", [service, wanted, ["*"] * len(wanted)])
        for source in dispatch_sources(config):
            if stored_position(owner, source.name) is None:
                begin = create_slot(source.dsn, source.slot)
                if config.profile == "kafka":
                    # Dispatch stores offsets there, and no position that would tell a lost slot from a first start.
                    store_position(owner, Position(source.name, read_epoch(source.dsn, source.slot), begin))
            else:
                mark_for_failover(source.dsn, source.slot)
