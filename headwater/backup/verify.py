"""Whether a backup is whole, and whether this version of the code can restore it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from headwater.backup import tools
from headwater.backup.errors import BackupError
from headwater.backup.manifest import Manifest, differences, read
from headwater.provision.warehouse import DATABASE


def check(directory: Path) -> Manifest:
    """The manifest, once every file was compared with it. Raises BackupError naming each that differs."""
    manifest = read(directory)
    found = list(differences(directory, manifest))
    if found:
        raise BackupError(f"{directory} is damaged and must not be restored:\n  " + "\n  ".join(found))
    return manifest


def check_versions(manifest: Manifest) -> None:
    """Raises BackupError if the backup's databases are newer than this code, or of another PostgreSQL."""
    here = tools.version()
    if here.partition(".")[0] != manifest.postgres.partition(".")[0]:
        raise BackupError(
            f"the backup is of PostgreSQL {manifest.postgres}, and {here} runs here: its files mean nothing to "
            f"another major version. Set HEADWATER_PG_MAJOR={manifest.postgres.partition('.')[0]}."
        )
    unknown = [
        f"{database}: {', '.join(missing)}"
        for database, applied in manifest.migrations.items()
        if (missing := sorted(set(applied) - _known(database)))
    ]
    if unknown:
        raise BackupError(
            f"the backup was taken by a newer version of Headwater ({manifest.headwater}): its databases have "
            f"migrations that this one lacks ({'; '.join(unknown)}). Restore it with that version."
        )


def _known(database: str) -> set[str]:
    """The migrations that this code would apply to the warehouse, or to a service's schema."""
    if database == DATABASE:
        return {file.name for file in resources.files("warehouse.schema").iterdir() if file.name.endswith(".sql")}
    return {
        f"{app}.{file.name.removesuffix('.py')}"
        for app in ("kernel", database)
        for file in resources.files(f"transactional.{app}.migrations").iterdir()
        if file.name.endswith(".py") and file.name != "__init__.py"
    }
