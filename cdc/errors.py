"""Errors of the stream: what happened, to which source or table, and the command that repairs it."""

from __future__ import annotations

from collections.abc import Sequence


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
    """The stored position belongs to another cluster, timeline or slot than the one found."""

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


class SpoolError(StreamError):
    """A large transaction could not be written to disk."""

    def __init__(self, source: str, directory: object, cause: OSError) -> None:
        super().__init__(
            f"Source {source}: a large transaction could not be spooled to {directory}: {cause.strerror or cause}. "
            "Make room there; reading resumes from the stored position."
        )
        self.source = source
