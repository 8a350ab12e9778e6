"""Errors of the stream: what happened, to which source or table, and the command that repairs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class StreamError(Exception):
    """Base of every error that a source raises."""


class DecodeError(StreamError):
    """A replication message is truncated, garbled, or speaks of a relation that was never described.

    ``message_type`` is the protocol's letter, ``offset`` the byte inside the message where decoding stopped.
    """

    def __init__(self, message_type: str, offset: int, problem: str, *, lsn: int = 0) -> None:
        at = f" at {lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}" if lsn else ""
        super().__init__(f"Replication message {message_type!r}{at}, byte {offset}: {problem}.")
        self.message_type = message_type
        self.offset = offset
        self.lsn = lsn


class SourceUnavailable(StreamError):
    """The database does not answer or broke the connection. Start the source again from the stored position."""

    def __init__(self, source: str, cause: object) -> None:
        super().__init__(f"Source {source}: the database is unavailable: {str(cause).strip() or repr(cause)}")
        self.source = source


class SlotMissing(StreamError):
    """The replication slot does not exist (any more): changes since the stored position may be gone."""

    def __init__(self, source: str, slot: str, *, stored: str | None) -> None:
        since = f"changes since {stored} may be gone" if stored else "nothing was read yet"
        super().__init__(
            f"Source {source}: replication slot {slot} does not exist; {since}. "
            f"Run `headwater repair {source}` to make the slot and re-snapshot."
        )
        self.source = source
        self.slot = slot


class SlotGap(StreamError):
    """The slot cannot deliver everything after the stored position."""

    def __init__(self, source: str, slot: str, *, gap_from: str, gap_to: str, reason: str) -> None:
        super().__init__(
            f"Source {source}: slot {slot} has a gap from {gap_from} to {gap_to}: {reason}. "
            f"Run `headwater repair {source}` to re-snapshot."
        )
        self.source = source
        self.slot = slot
        self.gap_from = gap_from
        self.gap_to = gap_to


class SlotInUse(StreamError):
    """Another process reads the slot."""

    def __init__(self, slot: str, *, pid: int, waited: float) -> None:
        super().__init__(
            f"Replication slot {slot} is in use by server process {pid} (waited {waited:.0f} s). Stop the other "
            f"reader, or end it on the server with `select pg_terminate_backend({pid})`."
        )
        self.slot = slot
        self.pid = pid


class BoundaryUnseen(StreamError):
    """What was just committed does not come out of the slot."""

    def __init__(self, slot: str, *, waited: float) -> None:
        super().__init__(
            f"A mark that was committed {waited:.0f} s ago does not come out of replication slot {slot}: the server "
            "has much to decode. Nothing was changed; try again."
        )


class SlotBlocked(StreamError):
    """A slot could not be made in time: it waits for every transaction that writes at this moment to end."""

    def __init__(self, slot: str, *, waited: float, blockers: Sequence[str], pids: Sequence[int]) -> None:
        super().__init__(
            f"Replication slot {slot} could not be made in {waited:.0f} s: it waits for open transactions to end: "
            f"{'; '.join(blockers) or 'unknown'}. End them and try again."
        )
        self.slot = slot
        self.pids = tuple(pids)


class EpochMismatch(StreamError):
    """The stored position belongs to another cluster or slot than the one found, or beyond where its timeline ended."""

    def __init__(self, source: str, *, stored: object, found: object) -> None:
        super().__init__(
            f"Source {source}: stored position is of {stored}, but the database is {found}; changes between them "
            f"cannot be known to be complete. Run `headwater repair {source}` to re-snapshot."
        )
        self.source = source


class NotPublishable(StreamError):
    """Tables that must not be streamed; ``problems`` maps each name to its reason."""

    def __init__(self, problems: dict[str, str]) -> None:
        listed = "; ".join(f"{table}: {reason}" for table, reason in sorted(problems.items()))
        super().__init__(f"These tables cannot be streamed: {listed}.")
        self.problems = problems


class PublicationMismatch(StreamError):
    """A publication is absent or names other tables than it should."""

    def __init__(self, publication: str, *, missing: Sequence[str], extra: Sequence[str], exists: bool) -> None:
        if exists:
            found = f"lacks {', '.join(missing) or 'nothing'} and has {', '.join(extra) or 'nothing'} too many"
        else:
            found = "does not exist"
        super().__init__(f"Publication {publication} {found}. Run `headwater up`, which sets it right.")
        self.publication = publication
        self.missing = tuple(missing)
        self.extra = tuple(extra)


class TriggerForbidden(StreamError):
    """The server does not let this role install the event trigger that tells the stream of schema changes."""

    def __init__(self, database: str, cause: object) -> None:
        super().__init__(
            f"Database {database} forbids the schema-change trigger ({str(cause).strip().splitlines()[0]}); schema "
            "changes are found by polling its catalogue, which is weaker (docs/decisions/0024)."
        )
        self.database = database


class SpoolError(StreamError):
    """A large transaction could not be written to disk."""

    def __init__(self, source: str, directory: object, cause: OSError) -> None:
        super().__init__(
            f"Source {source}: a large transaction could not be spooled to {directory}: {cause.strerror or cause}. "
            "Make room there; reading resumes from the stored position."
        )
        self.source = source


class ConnectError(StreamError):
    """Base of what goes wrong between us and Kafka Connect."""


class ConnectUnavailable(ConnectError):
    """No worker of Kafka Connect answers; ``starting``: one of them soon may."""

    def __init__(self, failures: Sequence[str], *, starting: bool = False) -> None:
        self.starting = starting
        super().__init__(
            f"No Kafka Connect worker answers ({'; '.join(failures)}). Connectors go on as they were; start a worker, "
            "or correct the address."
        )


class ConnectBusy(ConnectError):
    """Connect's group did not settle in time."""

    def __init__(self, method: str, path: str, waited: float, message: str) -> None:
        super().__init__(
            f"Kafka Connect was still rebalancing after {waited:.0f} s, so {method} {path} changed nothing: {message}. "
            "Look for a worker that restarts again and again, then try again."
        )


class ConnectFailed(ConnectError):
    """Connect refused a request."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"Kafka Connect answered {method} {path} with {status}: {message}")
        self.status = status


class ConnectorMissing(ConnectError):
    """There is no connector of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no connector {name}. Run `headwater connectors apply`, which makes it.")
        self.name = name


class InvalidDefinition(ConnectError):
    """The connector refuses its settings; ``problems`` maps each setting to its reason."""

    def __init__(self, name: str, problems: dict[str, str]) -> None:
        listed = "; ".join(f"{setting}: {reason}" for setting, reason in sorted(problems.items()))
        super().__init__(f"Connector {name} refuses its settings, and nothing was changed: {listed}")
        self.name = name
        self.problems = problems


class PluginMissing(ConnectError):
    """The workers do not have the connector's class."""

    def __init__(self, plugin: str, known: Iterable[str]) -> None:
        super().__init__(
            f"The Kafka Connect workers have no connector {plugin}; they have {', '.join(sorted(known)) or 'none'}. "
            "Put Debezium's connector for PostgreSQL on their class path or plugin path and restart them."
        )


class PluginIncompatible(ConnectError):
    """The workers have the connector in a version that its settings are not for."""

    def __init__(self, plugin: str, *, wanted: str, found: str) -> None:
        super().__init__(
            f"The Kafka Connect workers have {plugin} {found}, and the settings are for {wanted}. Nothing was changed. "
            f"Install {wanted} on the workers and restart them."
        )


class NotLogical(StreamError):
    """The server does not write what logical decoding needs."""

    def __init__(self, source: str, level: str) -> None:
        super().__init__(
            f"Source {source}: the server's wal_level is {level}. Set `wal_level = logical` in postgresql.conf and "
            "restart the server."
        )
        self.source = source


class TopicFailed(StreamError):
    """A topic could not be made, or not deleted."""

    def __init__(self, topic: str, cause: str) -> None:
        super().__init__(f"Topic {topic} is not as it is to be: {cause}.")
        self.topic = topic


class TopicMismatch(StreamError):
    """A topic exists with another number of partitions than it should have."""

    def __init__(self, topic: str, *, wanted: int, found: int) -> None:
        super().__init__(
            f"Topic {topic} has {found} partitions, and {wanted} are asked for. Changing it would part rows from their "
            f"history: leave the setting at {found}."
        )
        self.topic = topic
