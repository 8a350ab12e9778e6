"""The state directory of one installation: what is kept where, and where PostgreSQL's own files may live.

::

    <home>/config.json     ports, passwords (0600)
    <home>/login.txt       the administrator's first login (0600)
    <home>/demo-login.txt  the password of the demo company's people (0600)
    <home>/demo.json       whether the demo company was loaded or declined
    <home>/prepared.json   what the databases were last prepared for
    <home>/clusters        the clusters' data, or a link to a place that PostgreSQL's account can reach
    <home>/dbt             what dbt last parsed and compiled
    <home>/hot             the models as the hot lane runs them
    <home>/dagster         Dagster's instance: its configuration (0700), and what it learnt from dbt
    <home>/splits          services on their way to another database, or whose old tables still stand (0700)
    <home>/run             what runs now: lock, supervisor.json, heartbeats <worker>.json
    <home>/logs            one log per process, rotated by size
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.embedded.account import SHARED_ROOT, Account

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout (or site-packages): where ``python -m headwater`` finds every room."""


@dataclass(frozen=True, slots=True)
class Home:
    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def login(self) -> Path:
        return self.root / "login.txt"

    @property
    def demo_login(self) -> Path:
        return self.root / "demo-login.txt"

    @property
    def prepared(self) -> Path:
        return self.root / "prepared.json"

    @property
    def demo(self) -> Path:
        return self.root / "demo.json"

    @property
    def restoring(self) -> Path:
        """Stands here from the beginning of a restore to its end."""
        return self.root / "restoring"

    @property
    def dbt(self) -> Path:
        return self.root / "dbt"

    @property
    def hot(self) -> Path:
        return self.root / "hot"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def clusters(self) -> Path:
        return self.root / "clusters"

    @property
    def supervisor(self) -> Path:
        return self.run / "supervisor.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def heartbeat(self, name: str) -> Path:
        return self.run / f"{name}.json"

    def create(self, account: Account) -> None:
        """Makes the directories; the clusters' one where ``account`` can reach it, and it stays there ever after."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        for directory in (self.run, self.logs):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o700)
        if self.clusters.is_symlink():
            self.clusters.resolve().mkdir(mode=0o711, parents=True, exist_ok=True)
        elif not self.clusters.exists():
            if account.can_reach(self.root):
                self.clusters.mkdir()
            else:
                self.clusters.symlink_to(self._shared_place())
            self.clusters.chmod(0o711)

    def _shared_place(self) -> Path:
        """A new directory under SHARED_ROOT, named after this home; an older one of a deleted home is left alone."""
        SHARED_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        name = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
            place = SHARED_ROOT / f"{name}{suffix}"
            try:
                place.mkdir(mode=0o711)
            except FileExistsError:
                continue
            return place
        raise OSError(f"{SHARED_ROOT} holds a thousand directories named {name}; delete those of deleted homes.")

    def erase(self) -> None:
        """Deletes everything stored here, the clusters included. The caller has stopped what runs."""
        if self.clusters.is_symlink():
            shutil.rmtree(self.clusters.resolve(), ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o600) -> None:
    """Replaces ``path`` in one step: readers see the old content or the new, never half of it."""
    write_text(path, json.dumps(content, indent=1), mode)


def write_text(path: Path, content: str, mode: int = 0o600) -> None:
    """As ``write_json``, of any text."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The content of ``path``; empty if it is absent or was cut short by a loss of power."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
