"""What is stored of a split, so that a second call goes on where the first ended: ``<home>/splits/<service>.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from cdc.positions import Epoch, Position
from headwater.state import Home, read_json, write_json

Step = Literal["begun", "provisioned", "copying", "copied", "switched", "streamed", "done"]
"""What is done. ``switched``: the service writes its new database; the configuration, not this file, decides that."""

STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True)
class Split:
    """``url`` is the new database's, with its superuser's password; ``secret`` the copying role's password.

    ``mark`` stands in the old WAL behind the last change of the service; ``landing`` and ``dispatch`` are where the new
    slots begin. ``pause`` is how long nobody could write, in seconds. ``made_database`` and ``made_roles`` are what the
    new cluster did not have before.
    """

    service: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    begun_at: str
    made_database: bool
    made_roles: list[str]
    step: Step = "begun"
    mark: Position | None = None
    landing: Position | None = None
    dispatch: Position | None = None
    pause: float | None = None

    @property
    def place(self) -> str:
        """The new database for people: ``host:port/name``, or ``cluster/name``."""
        return self.url.rpartition("@")[2]

    def has(self, step: Step) -> bool:
        return STEPS.index(self.step) >= STEPS.index(step)

    def at(self, step: Step, **known: Any) -> Split:
        return replace(self, step=step, **known)

    def save(self, home: Home) -> None:
        path = _path(home, self.service)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_json(path, asdict(self))

    def forget(self, home: Home) -> None:
        _path(home, self.service).unlink(missing_ok=True)


def stored(home: Home, service: str) -> Split | None:
    raw = read_json(_path(home, service))
    if not raw:
        return None
    positions = {name: _position(raw[name]) for name in ("mark", "landing", "dispatch")}
    return Split(**raw | positions)


def half_done(home: Home) -> list[Split]:
    """Every split that was begun and not finished."""
    names = sorted(path.stem for path in (home.root / "splits").glob("*.json"))
    return [found for name in names if (found := stored(home, name)) is not None and not found.has("done")]


def _path(home: Home, service: str) -> Path:
    return home.root / "splits" / f"{service}.json"


def _position(raw: dict[str, Any] | None) -> Position | None:
    return None if raw is None else Position(raw["source"], Epoch(**raw["epoch"]), raw["lsn"])
