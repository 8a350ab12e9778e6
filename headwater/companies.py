"""Loading companies into this installation: who imports, the progress bar, and whether the demo company is wanted."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headwater.acting import as_administrator, host_every_service
from headwater.cli.errors import Refused
from headwater.state import Home, read_json, write_json
from headwater.supervisor.lock import Lock

if TYPE_CHECKING:
    from rich.progress import TaskID

    from transactional.importers.company import Company
    from transactional.importers.report import Report


def demo_is_wanted(home: Home) -> bool:
    """Whether the demo company was neither loaded to its end nor declined."""
    return not read_json(home.demo)


def decline_demo(home: Home) -> None:
    """This installation starts empty and stays so until somebody loads something."""
    if demo_is_wanted(home):
        write_json(home.demo, {"state": "declined"})


def load_demo(home: Home) -> Report:
    """Loads the demo company, or what is missing of it. Raises Refused with the reason if it cannot be finished."""
    from transactional.importers import demo

    lock = Lock(home.run, "demo")
    if not lock.acquire():
        raise Refused(f"process {lock.holder()} loads the demo company already; see `headwater status`.")
    try:
        report = _load(demo.build())
        write_json(home.demo, {"state": "loaded"})
    finally:
        lock.release()
    return report


def load_adventureworks(directory: Path) -> Report:
    """Loads the sales side of AdventureWorks from its files. Raises Refused."""
    from transactional.importers import adventureworks
    from transactional.importers.parquet import MissingInput

    try:
        company = adventureworks.read(directory)
    except MissingInput as error:
        raise Refused(str(error)) from error
    return _load(company)


def _load(company: Company) -> Report:
    host_every_service()
    from django.db import Error as DatabaseError

    from transactional.importers.loading import load
    from transactional.importers.writing import ReplicasStuck
    from transactional.kernel.problems import Problem

    again = "What was written stays; run it again to go on."
    try:
        with Bar() as bar:
            return load(company, as_administrator(f"import of {company.source}"), bar.show)
    except Problem as problem:
        raise Refused(f"{problem.title}: {problem.detail} {again}") from problem
    except ReplicasStuck as error:
        raise Refused(str(error)) from error
    except DatabaseError as error:
        raise Refused(f"a database failed ({str(error).strip()}). {again}") from error


class Bar:
    """A progress bar per kind of row on a terminal, a line per finished kind elsewhere."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._live = sys.stderr.isatty()
        self._progress: Any = Progress(
            TextColumn("  {task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._done: set[str] = set()

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, kind: str, done: int, total: int) -> None:
        if self._live:
            if kind not in self._tasks:
                self._tasks[kind] = self._progress.add_task(kind, total=total)
            self._progress.update(self._tasks[kind], completed=done, total=total)
        elif done >= total and kind not in self._done:
            self._done.add(kind)
            print(f"  · {kind}: {done:,}", flush=True)
