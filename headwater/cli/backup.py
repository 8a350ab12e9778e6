"""``backup`` and ``restore``: a whole installation in one directory or file, and back."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater import config
from headwater.state import Home

if TYPE_CHECKING:
    from headwater.backup.manifest import Manifest


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backup_ = commands.add_parser("backup", help="copy both clusters and the lake, consistent to one position")
    backup_.add_argument("target", type=Path, metavar="DIR|FILE.tar", help="must not exist; a name in .tar is one file")
    backup_.add_argument("--verify", action="store_true", help="take none: check the backup that is there")
    backup_.add_argument(
        "--wait", type=float, default=60.0, metavar="SECONDS", help="for a warehouse that is behind (default: 60)"
    )
    backup_.add_argument("--json", action="store_true", help="for scripts")
    backup_.set_defaults(run=backup)
    restore_ = commands.add_parser("restore", help="make an installation from a backup, in an empty home")
    restore_.add_argument("source", type=Path, metavar="DIR|FILE.tar")
    restore_.add_argument("--json", action="store_true", help="for scripts")
    restore_.set_defaults(run=restore)


def backup(given: argparse.Namespace) -> int:
    if given.verify:
        return verify(given)
    from headwater.backup.take import take
    from headwater.cli.running import running

    home = running()
    taken = take(home, config.current(), given.target, _saying(given), patience=given.wait)
    if given.json:
        print(json.dumps(_summary(taken.manifest) | {"seconds": round(taken.seconds, 1)}, indent=2))
        return 0
    _show(taken.manifest)
    print(f"{given.target}: {_size(taken.manifest)} in {taken.seconds:.1f} s. It holds every password: keep it safe.")
    return 0


def verify(given: argparse.Namespace) -> int:
    from headwater.backup.place import opened
    from headwater.backup.verify import check, check_versions

    with opened(given.target, given.target.absolute().parent) as directory:
        manifest = check(directory)
    check_versions(manifest)
    if given.json:
        print(json.dumps(_summary(manifest), indent=2))
        return 0
    _show(manifest)
    print(f"{given.target} is whole: {len(manifest.files)} files, {_size(manifest)}, taken {manifest.began}.")
    return 0


def restore(given: argparse.Namespace) -> int:
    from headwater.backup.restore import restore as restore_backup

    home = Home(config.home())
    restored = restore_backup(given.source, home, _saying(given))
    if given.json:
        summary = _summary(restored.manifest) | {"seconds": round(restored.seconds, 1), "said": restored.said}
        print(json.dumps(summary, indent=2))
        return 0
    for sentence in restored.said:
        print(f"  ! {sentence}")
    print(f"{home.root} was restored in {restored.seconds:.1f} s. Start it with `headwater up`.")
    return 0


def _saying(given: argparse.Namespace) -> Any:
    return (lambda _: None) if given.json else (lambda stage: print(f"  · {stage}", flush=True))


def _show(manifest: Manifest) -> None:
    for cut in manifest.sources:
        state = f"exact at {cut.landed}" if cut.exact else f"to be read again when restored: {cut.why}"
        print(f"  · source {cut.source}: {state}")
    for name in manifest.lake_missing:
        print(f"  ! the lake's file {name} is gone; `headwater doctor` says what that loses")


def _summary(manifest: Manifest) -> dict[str, Any]:
    summary = asdict(manifest) | {"bytes": manifest.size, "files": len(manifest.files)}
    return {name: value for name, value in summary.items() if name != "migrations"}


def _size(manifest: Manifest) -> str:
    from headwater.status import size

    return size(manifest.size)
