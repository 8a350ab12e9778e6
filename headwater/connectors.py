"""The connectors of this installation: what they are to be, what Connect has, and the difference made good."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg

from cdc import oversized, readiness, topics
from cdc.connect import Connect, Status
from cdc.connectors import PLUGIN, RECORD_MB, VERSION, Cluster, Definition, Source, changes, outbox
from cdc.errors import ConnectorMissing, StreamError
from cdc.keeper import Keeper
from headwater.config import Config, ConfigError
from headwater.kafka import profile
from headwater.kafka.elsewhere import replication
from headwater.landing import databases
from headwater.migration.state import refuse_while_leaving
from headwater.provision.names import DISPATCH, KAFKA
from headwater.provision.stream import dispatch_sources
from headwater.state import Home
from pipelines.runtime import BackOff, Heartbeat, Stop

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between looks at the connectors."""

PATIENCE = 20.0
"""Seconds that the resident worker waits for Connect: a worker that gives no sign of life for 60 s is called hung."""

REPLICATION_ROLE = "hw_replication"
SECRET = "password"
"""A setting whose name holds this word is not shown unless it refers to a secret elsewhere."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What differs for one connector. ``settings`` maps each to (now, to be), None where it is absent; ``topics`` do
    not exist yet."""

    definition: Definition
    exists: bool
    settings: Mapping[str, tuple[str | None, str | None]]
    topics: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return self.exists and not self.settings and not self.topics


@dataclass(frozen=True, slots=True)
class Seen:
    """A connector as it is: what Connect says, and what it does not say. ``problems`` names both."""

    name: str
    status: Status | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connector as it is to be, and what it reads."""

    source: str
    definition: Definition
    slot: str
    publication: str


class Connectors:
    """Two for each source: ``changes`` and ``outboxes``, by its name. Needs the Kafka profile; raises ConfigError in
    another one. ``patience`` as Connect's."""

    def __init__(self, home: Home, config: Config, *, patience: float = 60.0) -> None:
        if config.profile != "kafka":
            raise ConfigError(
                "this installation runs without Kafka; connectors belong to `headwater up --profile kafka`."
            )
        self._home = home
        self.bootstrap = profile.bootstrap(config)
        self.security = profile.security(config)
        self.connect = Connect(profile.connect_urls(config), patience=patience)
        self._dsns = {database.name: database.dsn for database in databases(config)}
        self.sources = sources(home, config)
        cluster = Cluster(partitions=_partitions(), replication=replication(), record_mb=_record_mb())
        self.changes = {
            source.name: Wanted(source.name, changes(source, cluster), source.slot, source.publication)
            for source in self.sources
        }
        self.outboxes = {
            source.name: Wanted(source.name, outbox(source, cluster), source.outbox_slot, source.outbox_publication)
            for source in self.sources
        }
        self.wanted = [*self.changes.values(), *self.outboxes.values()]
        self._explained: dict[tuple[str, str], str] = {}

    def plan(self) -> list[Plan]:
        """What ``apply`` would change. Raises ConnectUnavailable, KafkaUnavailable or TopicMismatch."""
        return [self._plan(wanted) for wanted in self.wanted]

    def apply(self, names: Collection[str] | None = None) -> list[Plan]:
        """Makes topics, then connectors, as they are to be, or those of ``names`` alone; returns what it changed.

        Raises, before that connector is touched: as ``plan``, what ``cdc.readiness.check`` raises, PluginIncompatible,
        InvalidDefinition, MoveUnderWay.
        """
        refuse_while_leaving(self._home)
        self.connect.require_plugin(PLUGIN, VERSION)
        changed = []
        for wanted in self.wanted:
            if names is not None and wanted.definition.name not in names:
                continue
            plan = self._plan(wanted)
            if plan.is_empty:
                continue
            self._require_readiness(wanted)
            topics.ensure(wanted.source, self.bootstrap, wanted.definition.topics, self.security)
            self.connect.put(wanted.definition)
            changed.append(plan)
        return changed

    def seen(self) -> list[Seen]:
        """Each connector as it is. Raises ConnectUnavailable or KafkaUnavailable.

        Connect says RUNNING of a connector that waits for a topic or for a slot that another process reads, and of one
        whose worker has just died: so topics and slots are looked at too.
        """
        return [self._seen(wanted) for wanted in self.wanted]

    def explain(self, connector: str, why: str) -> str:
        """``why``, or more than that where Connect says too little: which table's change is too large."""
        size = oversized.TOO_LARGE.search(why)
        if size is None:
            return why
        key = (connector, size.group())  # the keeper's words around it count seconds
        if key not in self._explained:
            wanted = next(wanted for wanted in self.wanted if wanted.definition.name == connector)
            told = oversized.explain(
                why, self._dsns[wanted.source], wanted.source, slot=wanted.slot, publication=wanted.publication
            )
            if told is None:
                return why
            self._explained[key] = told
        return self._explained[key]

    def database_answers(self, connector: str) -> bool:
        """Whether the connector's source takes a connection at this moment."""
        source = next(wanted.source for wanted in self.wanted if wanted.definition.name == connector)
        try:
            psycopg.connect(self._dsns[source], connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def thin(self) -> list[topics.Thin]:
        """Partitions of every source that lack copies. Raises KafkaUnavailable or KafkaRefused."""
        wanted = [topic for wanted in self.wanted for topic in wanted.definition.topics]
        return topics.thin(", ".join(source.name for source in self.sources), self.bootstrap, wanted, self.security)

    def _seen(self, wanted: Wanted) -> Seen:
        definition = wanted.definition
        try:
            status = self.connect.status(definition.name)
        except ConnectorMissing as error:
            return Seen(definition.name, None, (str(error),))
        problems = [f"failed: {self.explain(definition.name, cause)}" for cause in status.causes]
        absent = topics.missing(wanted.source, self.bootstrap, definition.topics, self.security)
        if absent:
            names = ", ".join(topic.name for topic in absent)
            problems.append(f"waits for topic {names}, which does not exist: `headwater connectors apply` makes it")
        try:
            self._require_readiness(wanted)
        except (StreamError, psycopg.OperationalError) as error:
            problems.append(str(error).strip())
        return Seen(definition.name, status, tuple(problems))

    def _require_readiness(self, wanted: Wanted) -> None:
        readiness.check(self._dsns[wanted.source], wanted.source, slot=wanted.slot, publication=wanted.publication)

    def _plan(self, wanted: Wanted) -> Plan:
        definition = wanted.definition
        found = self.connect.config(definition.name)
        to_be = {"name": definition.name, **definition.config}
        now = found or {}
        settings = {
            name: (now.get(name), to_be.get(name))
            for name in sorted(now.keys() | to_be.keys())
            if now.get(name) != to_be.get(name)
        }
        absent = topics.missing(wanted.source, self.bootstrap, definition.topics, self.security)
        return Plan(definition, found is not None, settings, tuple(topic.name for topic in absent))


def sources(home: Home, config: Config) -> list[Source]:
    """Every source database as Debezium is to read it; the password is a reference, never the password."""
    landing = {database.name: database.slot for database in databases(config)}
    return [
        _source(
            config.service_url(dispatched.services[0], role=REPLICATION_ROLE),
            name=dispatched.name,
            password=profile.secret_of(home, REPLICATION_ROLE),
            slot=landing[dispatched.name],
            outbox_slot=dispatched.slot,
            services=dispatched.services,
        )
        for dispatched in dispatch_sources(config)
    ]


def _source(url: str, *, name: str, password: str, slot: str, outbox_slot: str, services: tuple[str, ...]) -> Source:
    parts = urlsplit(url)
    return Source(
        name=name,
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 5432,
        database=parts.path.strip("/"),
        user=REPLICATION_ROLE,
        password=password,
        slot=slot,
        publication=KAFKA,
        outbox_slot=outbox_slot,
        outbox_publication=DISPATCH,
        services=services,
    )


def masked(name: str, value: str | None) -> str:
    """A setting's value for people; a secret that stands in it is not shown."""
    if value is None:
        return "–"
    return "(hidden)" if SECRET in name and not value.startswith("${") else value


def _partitions() -> int:
    given = os.environ.get("HEADWATER_KAFKA_PARTITIONS", "4")
    if not given.isdigit() or not 1 <= int(given) <= 1000:
        raise ConfigError(f"HEADWATER_KAFKA_PARTITIONS must be a number from 1 to 1000, not {given!r}.")
    return int(given)


def _record_mb() -> int:
    given = os.environ.get("HEADWATER_KAFKA_MESSAGE_MB", str(RECORD_MB))
    if not given.isdigit() or not 1 <= int(given) <= 90:
        raise ConfigError(f"HEADWATER_KAFKA_MESSAGE_MB must be a number from 1 to 90, not {given!r}.")
    return int(given)


def keep(home: Home, config: Config, heartbeat: Heartbeat, stop: Stop) -> None:
    """The resident worker: applies the plan, then restarts what fails. Whatever is wrong stands in the heartbeat."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every look
    own = Connectors(home, config, patience=PATIENCE)
    keeper = Keeper(own.connect, [wanted.definition.name for wanted in own.wanted], answers=own.database_answers)
    back_off = BackOff()
    applied = False
    while not stop.is_set():
        try:
            if not applied:
                for plan in own.apply():
                    log.info("connector %s: %s", plan.definition.name, "changed" if plan.exists else "made")
                applied = True
            wrong = keeper.tick()
        except (StreamError, psycopg.OperationalError) as error:
            heartbeat.error(str(error).strip())
            heartbeat.beat()
            back_off.wait(stop)
            continue
        back_off.reset()
        heartbeat.error("; ".join(f"{name} {own.explain(name, why)}" for name, why in wrong.items()) or None)
        heartbeat.beat()
        stop.wait(EVERY)
