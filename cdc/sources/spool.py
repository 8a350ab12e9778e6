"""A transaction too large for memory, on disk: raw replication frames, decoded anew each time they are read.

The frames are those between Begin and Commit.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Final, overload

from cdc.events import Item
from cdc.pgoutput import Decoder

_FRAME: Final = Struct(">QI")
_CHUNK: Final = 1 << 20


class Spool:
    """Frames in a file without a name: it vanishes with the process, so that none is ever left behind."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=directory, buffering=_CHUNK)  # noqa: SIM115
        self.size = 0

    def append(self, lsn: int, data: bytes) -> None:
        """Raises OSError when the disk is full."""
        self._file.write(_FRAME.pack(lsn, len(data)))
        self._file.write(data)
        self.size += _FRAME.size + len(data)

    def cut(self, frames: int, payload: int) -> None:
        """Keeps the first ``frames``, of ``payload`` bytes together. Not while it is read."""
        self.size = frames * _FRAME.size + payload
        self._file.seek(self.size)
        self._file.truncate()

    def finish(self) -> None:
        self._file.flush()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The frames in order; several readers at once do not disturb each other."""
        descriptor = self._file.fileno()
        offset = 0
        buffer = b""
        while offset < self.size or buffer:
            pos = 0
            while len(buffer) - pos >= _FRAME.size:
                lsn, length = _FRAME.unpack_from(buffer, pos)
                end = pos + _FRAME.size + length
                if end > len(buffer):
                    break
                yield lsn, buffer[pos + _FRAME.size : end]
                pos = end
            more = os.pread(descriptor, _CHUNK, offset)
            if not more and pos == len(buffer):
                return
            if not more:
                raise OSError(f"the spool ends inside a frame at byte {offset}")
            offset += len(more)
            buffer = buffer[pos:] + more

    def close(self) -> None:
        self._file.close()


class SpooledItems(Sequence[Item]):
    """The items of a spooled transaction: iterate as often as needed; only one is in memory at a time.

    Indexing reads from the beginning. Reading after the source has moved on (acknowledge, close) raises ValueError.
    """

    def __init__(self, begin: bytes, spool: Spool, decoder: Decoder, count: int) -> None:
        self._begin = begin
        self._spool = spool
        self._decoder = decoder
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        decoder = self._decoder.fork()  # each reading starts from what was known before this transaction
        decoder.begin(self._begin)
        items: list[Item] = []
        for lsn, data in self._spool:
            decoder.decode(data, lsn, items)
            yield from items
            items.clear()

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return list(self)[index]
        place = index + self._count if index < 0 else index
        for item in islice(self, place, None) if place >= 0 else ():
            return item
        raise IndexError(index)
