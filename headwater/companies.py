"""Loading companies into this installation: who imports, the progress bar, and whether the demo company is wanted."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headwater.acting import as_administrator, host_every_service
from headwater.cli.errors import Refused
from headwater.state import Home, read_json, write_json, write_text
from headwater.supervisor.lock import Lock

if TYPE_CHECKING:
    from rich.progress import TaskID

    from transactional.importers.company import Company
    from transactional.importers.report import Report
    from transactional.importers.tabular.guess import Guess
    from transactional.importers.tabular.outcome import Outcome


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
        let_people_in(home)
        write_json(home.demo, {"state": "loaded"})
    finally:
        lock.release()
    return report


def let_people_in(home: Home) -> None:
    """Gives the demo's cast one password, made for this installation and kept in demo-login.txt (0600).

    Whoever has a password already keeps it.
    """
    from transactional.identity.models import UserAccount
    from transactional.importers.demo.staff import CAST
    from transactional.kernel.calls import execute

    names = [seat.username for seat in CAST]
    if not home.demo_login.exists():
        write_text(home.demo_login, f"people: {', '.join(names)}\npassword: {secrets.token_urlsafe(12)}\n")
    password = home.demo_login.read_text().split("password: ", 1)[1].strip()
    ctx = as_administrator("a password for the demo's people")
    for user in UserAccount.objects.filter(username__in=names, credential__isnull=True, is_active=True):
        execute("identity.set_password", {"id": str(user.pk), "password": password}, ctx)


COMPANIES = ("adventureworks", "northwind")
"""Published companies, each a module of ``transactional.importers`` that reads a directory of its files."""


def load_published(name: str, directory: Path) -> Report:
    """Loads one of COMPANIES from its files. Raises Refused."""
    from transactional.importers.sheets import MissingInput

    company = import_module(f"transactional.importers.{name}")
    try:
        read: Company = company.read(directory)
    except MissingInput as error:
        raise Refused(str(error)) from error
    return _load(read)


def load_file(path: Path, mapping: Path, *, rejects: Path | None, rehearsal: bool) -> Outcome:
    """Imports a CSV or Parquet file as a mapping says, or rehearses it. Raises Refused."""
    host_every_service()
    from transactional.importers.tabular.mapping import load
    from transactional.importers.tabular.run import import_file
    from transactional.importers.tabular.targets import targets

    known = targets()
    with _told(), Bar() as bar:
        return import_file(
            path,
            load(mapping, known),
            known,
            as_administrator(f"import of {path.name}"),
            rejects=rejects,
            rehearsal=rehearsal,
            progress=bar.show,
        )


def guess_mapping(path: Path, target: str | None, source: str | None) -> Guess:
    """A mapping for a file that nobody knows yet, judged by its header and first rows. Raises Refused."""
    host_every_service()
    from transactional.importers.tabular.guess import guess
    from transactional.importers.tabular.targets import targets

    with _told():
        return guess(path, targets(), target=target, source=source)


def _load(company: Company) -> Report:
    host_every_service()
    from transactional.importers.loading import load

    with _told(), Bar() as bar:
        return load(company, as_administrator(f"import of {company.source}"), bar.show)


@contextmanager
def _told() -> Iterator[None]:
    """What ends an import midway, and what kept it from beginning, as a sentence."""
    from django.db import Error as DatabaseError

    from transactional.importers.sending import ReplicasStuck
    from transactional.importers.tabular.errors import FileError, MappingError
    from transactional.kernel.problems import Problem

    again = "What was written stays; run it again to go on."
    try:
        yield
    except Problem as problem:
        raise Refused(f"{problem.title}: {problem.detail} {again}") from problem
    except (ReplicasStuck, FileError, MappingError) as error:
        raise Refused(str(error)) from error
    except DatabaseError as error:
        raise Refused(f"a database failed ({str(error).strip()}). {again}") from error


class Bar:
    """A progress bar per kind of row on a terminal, a line per finished kind elsewhere; never among the report."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._live = sys.stderr.isatty()
        self._progress: Any = Progress(
            TextColumn("  {task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
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
            print(f"  · {kind}: {done:,}", file=sys.stderr, flush=True)
