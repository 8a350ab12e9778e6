"""Errors of dispatch: what happened, to which source, and what to do."""

from __future__ import annotations

from cdc.positions import Position, format_lsn


class DispatchError(Exception):
    """Base of dispatch's own errors; a source's are ``cdc.errors.StreamError``."""


class Superseded(DispatchError):
    """A later position is stored: another process dispatches this source, and this one must begin again from there."""

    def __init__(self, position: Position) -> None:
        super().__init__(
            f"Source {position.source}: another dispatch process has stored a position after "
            f"{format_lsn(position.lsn)}; this one gives way. Run one `headwater work dispatch` only."
        )
        self.position = position
