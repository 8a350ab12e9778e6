"""Checks of what lies on disk: configuration, permissions, the account of PostgreSQL, free space."""

from __future__ import annotations

import shutil
import stat

from headwater import config, fingerprint
from headwater.config import ConfigError
from headwater.doctor.findings import Finding, Patient, check
from headwater.embedded.account import AccountError, unprivileged_account

LOW_BYTES = 2 * 1024**3
LOW_SHARE = 0.05


@check
def configuration(patient: Patient) -> list[Finding]:
    """config.json is there and readable, or nothing was ever stored."""
    home = patient.home
    if not home.config.exists():
        stored = home.clusters.exists() and any(home.clusters.iterdir())
        if stored:
            what = f"{home.config} is gone, and with it the passwords of the data in {home.clusters.resolve()}."
            return [Finding(what, f"put {home.config} back, or `headwater down --erase` to begin anew")]
        return [Finding(f"Nothing was set up in {home.root} yet.", "headwater up")]
    try:
        config.read(home.root)
    except ConfigError as error:
        return [Finding(str(error), f"put a good {home.config} back, or `headwater down --erase` to begin anew")]
    return []


@check
def secrets(patient: Patient) -> list[Finding]:
    """Files that hold passwords are readable for their owner alone."""
    found = []
    for path in (patient.home.config, patient.home.login):
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            found.append(
                Finding(f"{path} holds passwords and others may read it (mode {mode:o}).", f"chmod 600 {path}")
            )
    return found


@check
def account(patient: Patient) -> list[Finding]:
    """PostgreSQL's account exists and passes every directory on the way to the data."""
    home = patient.home
    try:
        found = unprivileged_account()
    except AccountError as error:
        return [Finding(str(error), "useradd --system headwater")]
    if not home.clusters.exists():
        return []
    place = home.clusters.resolve()
    if not found.can_reach(place):
        what = f"The account {found.name!r}, which runs PostgreSQL, cannot pass every directory on the way to {place}."
        return [Finding(what, "chmod o+x on the closed directory of that path")]
    wrong = [path for path in place.glob("*/data") if path.stat().st_uid != found.uid]
    return [
        Finding(f"{path} belongs to another user than {found.name!r}.", f"chown -R {found.name}: {path.parent}")
        for path in wrong
    ]


@check
def disk(patient: Patient) -> list[Finding]:
    """There is room for data and WAL."""
    found = []
    devices = set()
    for path in (patient.home.root, patient.home.clusters):
        if not path.exists() or path.stat().st_dev in devices:
            continue
        devices.add(path.stat().st_dev)
        space = shutil.disk_usage(path)
        if space.free < LOW_BYTES or space.free < LOW_SHARE * space.total:
            what = f"The disk of {path.resolve()} is nearly full: {space.free / 1024**3:.1f} GB are left."
            found.append(Finding(what, "free space there; writes go on by themselves afterwards"))
    return found


@check
def preparation(patient: Patient) -> list[Finding]:
    """The databases were prepared by this version of the code."""
    if patient.config is None or fingerprint.is_current(patient.home):
        return []
    what = "The databases were prepared by another version of the code, or their preparation did not finish."
    return [Finding(what, "headwater down && headwater up")]
