"""A PostgreSQL cluster that no installation runs, for services that move there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.embedded.postgres import Cluster, free_port
from tests.conftest import FAST

SECRET = "new/@cluster"


@contextmanager
def cluster(settings: dict[str, str]) -> Iterator[Cluster]:
    root = Path(tempfile.mkdtemp(prefix="headwater-target-"))
    root.chmod(0o711)
    made = Cluster("target", root / "target", free_port(), SECRET, settings | FAST)
    made.init()
    process = made.start()
    try:
        yield made
    finally:
        made.stop(immediate=True)
        process.wait()
        shutil.rmtree(root, ignore_errors=True)


def url(where: Cluster, database: str = "finance", password: str = "new%2F%40cluster") -> str:
    return f"postgresql://postgres:{password}@127.0.0.1:{where.port}/{database}"
