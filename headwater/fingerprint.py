"""What the databases were last prepared for, so that a later start with nothing changed prepares nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from headwater.state import PROJECT, Home, read_json, write_json

DATABASES = (
    "transactional/*/migrations/*.py",
    "transactional/*/subscriptions.py",
    "transactional/*/handlers.py",
    "headwater/provision/*.py",
    "headwater/config.py",
    "cdc/ddl.py",
    "cdc/sql/*",
    "pipelines/dispatch/schema/*",
    "warehouse/schema/**/*",
    "warehouse/lake/tables.py",
    "policy/**/*.py",
    "requirements.lock",
)
MARTS = (
    "warehouse/dbt/**/*.sql",
    "warehouse/dbt/**/*.yml",
    "warehouse/dbt/**/*.csv",
    "policy/**/*.py",
    "requirements.lock",
)
NOT_SOURCES = {"target", "logs", "dbt_packages", "__pycache__"}


def of(patterns: tuple[str, ...]) -> str:
    """A digest of the files' names and contents and of the environment that says how they are to be."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(PROJECT.glob(pattern)):
            relative = path.relative_to(PROJECT)
            if path.is_file() and not NOT_SOURCES & set(relative.parts):
                digest.update(str(relative).encode() + b"\0" + path.read_bytes() + b"\0")
    for name in sorted(os.environ):
        if name.startswith("HEADWATER_DB_") or name == "HEADWATER_SCHEMA_CHANGES":
            digest.update(f"{name}={os.environ[name]}\0".encode())
    return digest.hexdigest()


def wanted() -> dict[str, str]:
    return {"databases": of(DATABASES), "marts": of(MARTS)}


def is_current(home: Home) -> bool:
    return read_json(home.prepared) == wanted()


def changed(home: Home, part: str) -> bool:
    """Whether ``part`` (``databases`` or ``marts``) must be prepared (again)."""
    return read_json(home.prepared).get(part) != wanted()[part]


def record(home: Home, part: str) -> None:
    write_json(home.prepared, read_json(home.prepared) | {part: wanted()[part]})


def forget(home: Home) -> None:
    """The next start prepares everything again."""
    Path(home.prepared).unlink(missing_ok=True)
