"""What a check returns, what it is given, and the list of all checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headwater import config, status
from headwater.config import Config, ConfigError
from headwater.state import Home
from headwater.supervisor.lock import Lock


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is wrong, in a sentence with names and numbers; ``command`` mends it."""

    what: str
    command: str


class Patient:
    """The installation under examination; each thing is looked at once, when the first check asks for it."""

    def __init__(self, home: Home) -> None:
        self.home = home

    @cached_property
    def config(self) -> Config | None:
        """None if absent or broken, which is a finding of its own."""
        try:
            return config.read(self.home.root)
        except ConfigError:
            return None

    @cached_property
    def supervisor(self) -> int | None:
        return Lock(self.home.run).holder()

    @cached_property
    def status(self) -> dict[str, Any]:
        return status.collect(self.home)


Check = Callable[[Patient], list[Finding]]
CHECKS: dict[str, Check] = {}
"""Every check by its name, in the order of examination: files, then processes, then databases, then the stream."""


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def examine(home: Home) -> dict[str, list[Finding]]:
    """Runs every check; the result names each, healthy ones with an empty list."""
    # Each registers its checks.
    from headwater.doctor import files, kafka, lake, migration, processes, search, splitting, stream  # noqa: F401

    patient = Patient(home)
    return {name: run(patient) for name, run in CHECKS.items()}
