"""``connectors plan|apply|status``: Debezium's connectors as they are to be and as they are."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from headwater import config
from headwater.cli.running import running

if TYPE_CHECKING:
    from headwater.connectors import Connectors, Plan


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    top = commands.add_parser("connectors", help="Kafka profile: what Debezium reads, and how")
    actions = top.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("plan", help="show what apply would change, and change nothing").set_defaults(run=plan)
    actions.add_parser("apply", help="make topics and connectors as they are to be").set_defaults(run=apply)
    status_ = actions.add_parser("status", help="what each connector does, and what keeps it from doing it")
    status_.add_argument("--json", action="store_true", help="for scripts")
    status_.set_defaults(run=status)


def plan(_: argparse.Namespace) -> int:
    plans = [plan for plan in _connectors().plan() if not plan.is_empty]
    for found in plans:
        _show(found)
    print("`headwater connectors apply` makes it so." if plans else "Connectors are as they are to be.")
    return 0


def apply(_: argparse.Namespace) -> int:
    changed = _connectors().apply()
    for found in changed:
        _show(found)
    print(f"Changed {', '.join(p.definition.name for p in changed)}." if changed else "Nothing had to change.")
    return 0


def status(given: argparse.Namespace) -> int:
    """Exit code 3 if something is wrong."""
    seen = _connectors().seen()
    if given.json:
        print(json.dumps([asdict(one) for one in seen], indent=2))
    else:
        for one in seen:
            tasks = one.status.tasks if one.status else ()
            where = ", ".join(f"task {task.number} {task.state} on {task.worker}" for task in tasks)
            print(f"{one.name}: {one.status.state if one.status else 'missing'}{f' ({where})' if where else ''}")
            for problem in one.problems:
                print(f"  ! {problem}")
    return 3 if any(one.problems or not (one.status and one.status.running) for one in seen) else 0


def _connectors() -> Connectors:
    from headwater.connectors import Connectors

    home = running()
    return Connectors(home, config.current())


def _show(found: Plan) -> None:
    from headwater.connectors import masked

    print(f"{'~' if found.exists else '+'} {found.definition.name}")
    for topic in found.topics:
        print(f"    + topic {topic}")
    for name, (now, wanted) in found.settings.items():
        if now is None:
            print(f"    + {name} = {masked(name, wanted)}")
        elif wanted is None:
            print(f"    - {name} = {masked(name, now)}")
        else:
            print(f"    ~ {name}: {masked(name, now)} → {masked(name, wanted)}")
