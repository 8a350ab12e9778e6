"""PostgreSQL refuses to run as root: a root user gets an unprivileged account for it, others run it themselves."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "headwater"
SHARED_ROOT = Path("/var/lib/headwater")


class AccountError(Exception):
    """No unprivileged account can be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL runs as. ``switch`` holds Popen's arguments for it, empty when no change is needed."""

    name: str
    uid: int
    gid: int

    @property
    def switch(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether every directory on the way to ``path`` lets this account pass."""
        if os.geteuid() != 0:
            return True
        for parent in (path, *path.resolve().parents):
            status = parent.stat()
            if status.st_uid == self.uid and status.st_mode & stat.S_IXUSR:
                continue
            if not status.st_mode & stat.S_IXOTH:
                return False
        return True


def unprivileged_account() -> Account:
    """The account for PostgreSQL: this user, or the system account ``headwater`` (made when missing) for root."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd") or "/usr/sbin/useradd"
        made = subprocess.run(
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT],
            capture_output=True,
            text=True,
        )
        try:
            # Another process may have made it at the same moment, so the account's existence decides.
            entry = pwd.getpwnam(ACCOUNT)
        except KeyError:
            raise AccountError(
                f"PostgreSQL does not run as root and the account {ACCOUNT!r} could not be made "
                f"({made.stderr.strip() or made.returncode}). Make it with `useradd --system {ACCOUNT}` "
                "or run headwater as an ordinary user."
            ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
