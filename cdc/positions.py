"""Typed positions. A position belongs to an epoch; positions of different epochs never compare."""

from __future__ import annotations

from dataclasses import dataclass

from cdc.errors import EpochMismatch


@dataclass(frozen=True, slots=True)
class Epoch:
    """What makes an LSN meaningful: the cluster's system identifier, its timeline and the slot."""

    system_id: str
    timeline: int
    slot: str


@dataclass(frozen=True, slots=True)
class Position:
    """``lsn`` is the end of the last transaction that is stored; 64-bit integer."""

    source: str
    epoch: Epoch
    lsn: int

    def is_after(self, other: Position) -> bool:
        if (self.source, self.epoch) != (other.source, other.epoch):
            raise EpochMismatch(self.source, stored=other.epoch, found=self.epoch)
        return self.lsn > other.lsn


def format_lsn(lsn: int) -> str:
    """PostgreSQL's pg_lsn text form, e.g. ``16/B374D848``."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)
