"""Backup and restore of the demo company: seconds and bytes, beside the size of what is backed up."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure
from bench.runtime import drained
from tests.stack import Stack, eventually


def run() -> Iterator[Figure]:
    stack, other = Stack(), Stack()
    place = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    try:
        stack.up()
        stack.run("demo", timeout=900)
        eventually(lambda: drained(stack), timeout=300, what="everything landed and refreshed")
        stored = sum(path.stat().st_size for path in stack.home.clusters.resolve().rglob("*") if path.is_file())
        summary = json.loads(stack.run("backup", str(place / "b"), "--json", timeout=600).stdout)
        how = f"demo company, online; {stored / 1e6:.0f} MB of cluster files, WAL included"
        yield Figure("backup", summary["seconds"], "s", how=how)
        yield Figure("backup, size", round(summary["bytes"] / 1e6, 1), "MB", how="gzip, level 1")
        began = time.monotonic()
        stack.run("backup", "--verify", str(place / "b"))
        yield Figure("backup --verify", round(time.monotonic() - began, 1), "s", how="every file's SHA-256")
        stack.down()
        summary = json.loads(other.run("restore", str(place / "b"), "--json", timeout=900).stdout)
        yield Figure("restore", summary["seconds"], "s", how="both clusters side by side, new slots, not started")
        began = time.monotonic()
        other.up()
        yield Figure(
            "start after a restore", round(time.monotonic() - began, 1), "s", how="databases and marts prepared"
        )
    finally:
        stack.close()
        other.close()
        shutil.rmtree(place, ignore_errors=True)
