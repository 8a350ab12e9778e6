"""Where tantivy's indexes lie: a directory per entity, in it one per generation, and a file that names the current one.

A generation's own file says what it was made with and how far it was written. Both files are replaced in one step.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

_CURRENT: Final = "current"
_ABOUT: Final = "headwater.json"
_FOOTER_MAGIC: Final = 1337
"""Ends every file of a tantivy segment, behind a JSON footer with the CRC-32 of what is before it, and its length."""


@dataclass(frozen=True, slots=True)
class Generations:
    """The generations of one entity's index."""

    directory: Path

    def current(self) -> Path | None:
        """The generation that is searched; None if there is none, or its directory was deleted."""
        try:
            name = (self.directory / _CURRENT).read_text().strip()
        except OSError:
            return None
        path = self.directory / name
        return path if name and os.sep not in name and path.is_dir() else None

    def make(self) -> Path:
        """An empty directory for a new generation; those that were begun before and never finished are removed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.sweep()
        path = self.directory / uuid4().hex
        path.mkdir()
        return path

    def choose(self, path: Path) -> None:
        """From now on this generation is searched."""
        _replace(self.directory / _CURRENT, path.name)

    def sweep(self) -> None:
        """Removes every generation but the current one. Processes that still read one keep its files open."""
        current = self.current()
        for path in self.directory.iterdir():
            if path.is_dir() and path != current:
                shutil.rmtree(path, ignore_errors=True)


def about(generation: Path) -> dict[str, Any]:
    """``fingerprint`` and ``version``; empty if the generation does not say."""
    try:
        content = json.loads((generation / _ABOUT).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def note(generation: Path, *, durably: bool = True, **content: Any) -> None:
    """Replaces what is given. Without ``durably`` a loss of power may lose the note, and has the index built anew."""
    _replace(generation / _ABOUT, json.dumps(about(generation) | content), durably=durably)


def damage(generation: Path) -> str | None:
    """The first file of a searched segment that is absent or not what was written; None if all are whole.

    Reads everything once: 1 GB a second or so. tantivy itself looks at a file's head and foot alone.
    """
    try:
        segments = json.loads((generation / "meta.json").read_bytes())["segments"]
    except (OSError, ValueError, KeyError) as error:
        return f"meta.json cannot be read ({error})"
    present = {path.name for path in generation.iterdir()}
    for segment in segments:
        name = str(segment["segment_id"]).replace("-", "")
        files = {f for f in present if f.startswith(f"{name}.") and not f.endswith(".del")}
        if deletes := segment.get("deletes"):
            files.add(f"{name}.{deletes['opstamp']}.del")
        if not files:
            return f"segment {name} is absent"
        for file in sorted(files):
            if not _is_whole(generation / file):
                return f"{file} is not what was written"
    return None


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8))
            length, magic = struct.unpack("<II", file.read(8))
            if magic != _FOOTER_MAGIC or length > size - 8:
                return False
            file.seek(size - 8 - length)
            expected = json.loads(file.read(length))["crc"]
            file.seek(0)
            left, crc = size - 8 - length, 0
            while left:
                piece = file.read(min(left, 1 << 20))
                crc = zlib.crc32(piece, crc)
                left -= len(piece)
    except (OSError, ValueError, KeyError, struct.error):
        return False
    return bool(crc == expected)


def _replace(path: Path, content: str, *, durably: bool = True) -> None:
    """In one step: a reader sees the old content or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w") as file:
        file.write(content)
        if durably:
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)
