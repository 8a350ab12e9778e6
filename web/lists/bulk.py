"""One command on each of many rows: a transaction and a verdict for each, so that one refusal stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from bi.names import names_of
from policy.problems import Problem as ReadProblem
from transactional.kernel.problems import Problem, Unavailable
from web import commands
from web.addresses import record
from web.lists.screens import Bulk, Screen
from web.requests import PageRequest

MAX_ROWS = 200


@dataclass(frozen=True)
class Verdict:
    """``why`` is empty for what was done."""

    key: UUID
    name: str
    url: str
    why: str


@dataclass(frozen=True)
class Outcome:
    screen: Screen
    bulk: Bulk
    verdicts: Sequence[Verdict]
    left: int
    """Rows that were not tried, because too many were chosen or a service went away."""

    @property
    def done(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.why]

    @property
    def refused(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.why]

    @property
    def sentence(self) -> str:
        number = len(self.done)
        return f"{number} {self.screen.one if number == 1 else self.screen.name} {self.bulk.done}"


def run(request: PageRequest, screen: Screen, bulk: Bulk, keys: Sequence[UUID]) -> Outcome:
    """Runs the command on at most ``MAX_ROWS`` rows, in the order given. Sent twice, each row is done once."""
    form = request.POST.get(commands.KEY_FIELD, "")
    payload = dict(bulk.fixed)
    if bulk.ask:
        payload[bulk.ask] = request.POST.get(bulk.ask, "")
    found: list[tuple[UUID, str]] = []
    for key in keys[:MAX_ROWS]:
        try:
            commands.run(
                request, bulk.command, {**payload, bulk.target: str(key)}, key=f"{form}:{key}" if form else None
            )
            found.append((key, ""))
        except Unavailable as problem:
            found.append((key, problem.detail))
            break
        except Problem as problem:
            why = "It is not there, or not yours." if problem.status == 404 else problem.detail
            found.append((key, why))
    names = _names(request, [key for key, why in found if why])
    verdicts = [
        Verdict(key, names.get(key, str(key)), record(screen.listing.object_type, key), why) for key, why in found
    ]
    return Outcome(screen, bulk, verdicts, len(keys) - len(found))


def _names(request: PageRequest, keys: Sequence[UUID]) -> dict[UUID, str]:
    try:
        return names_of(settings.HEADWATER_WAREHOUSE, request.reader.principal, keys)
    except ReadProblem:
        return {}
