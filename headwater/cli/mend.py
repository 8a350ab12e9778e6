"""``rebuild``, ``reconcile``, ``repair`` and ``parked``: putting right what a fault or a hand has left wrong."""

from __future__ import annotations

import argparse
from typing import Any

from headwater import config, fingerprint
from headwater.cli.errors import Refused
from headwater.cli.running import running


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rebuild_ = commands.add_parser("rebuild", help="build marts anew from the mirror, beside the running system")
    rebuild_.add_argument("model", nargs="*", help="dbt's selection, such as dim_account or +c360_account (all)")
    rebuild_.add_argument(
        "--from",
        dest="origin",
        choices=("mirror", "lake"),
        default="mirror",
        help="lake: everything anew from the history alone, mirrors included",
    )
    rebuild_.add_argument("--search", action="store_true", help="the search indexes instead of marts")
    rebuild_.set_defaults(run=rebuild)
    reconcile_ = commands.add_parser(
        "reconcile", help="compare replicas or search with their masters and mend what differs"
    )
    reconcile_.add_argument("what", choices=("replicas", "search"))
    reconcile_.add_argument("--dry-run", action="store_true", help="only report")
    reconcile_.set_defaults(run=reconcile)
    repair_ = commands.add_parser("repair", help="mend sources whose slot or WAL was lost, or the lake's lost files")
    repair_.add_argument("source", nargs="+", help="as `headwater status` names them; all; or lake")
    repair_.add_argument("--force", action="store_true", help="also where there is no gap: read every table again")
    repair_.add_argument("--forget", action="store_true", help="lake: give up what nothing holds any more")
    repair_.set_defaults(run=repair)
    parked_ = commands.add_parser("parked", help="what could not be applied and was set aside")
    parked_.add_argument("action", choices=("list", "replay"))
    parked_.set_defaults(run=parked)


def rebuild(given: argparse.Namespace) -> int:
    home = running()
    if given.origin == "lake":
        if given.model:
            raise Refused("from the lake everything is rebuilt; name no model.")
        from headwater.rebuilding import rebuild_from_lake

        for sentence in rebuild_from_lake(home, config.current()):
            print(sentence, flush=True)
        return 0
    if given.search:
        if given.model:
            raise Refused("--search rebuilds every index; name no model.")
        from headwater import searching

        for sentence in searching.rebuild(home, config.current()):
            print(sentence, flush=True)
        return 0
    from warehouse.compile import build

    report = build(config.current().warehouse_url(), select=given.model, target=home.dbt)
    if not given.model:
        fingerprint.record(home, "marts")
    if not report.states:
        raise Refused(f"no model is named {' '.join(given.model)}.")
    print(", ".join(f"{count} {state}" for state, count in sorted(report.states.items())))
    for warning in report.warnings:
        print(f"! {warning}")
    return 0


def reconcile(given: argparse.Namespace) -> int:
    home = running()
    if given.what == "search":
        from headwater import searching

        left = 0
        for sentence, unmended in searching.reconcile(home, config.current(), mend=not given.dry_run):
            print(sentence, flush=True)
            left += unmended
        return 3 if left else 0
    from headwater.acting import as_administrator

    who = as_administrator("headwater reconcile replicas")
    from transactional.kernel.problems import Problem
    from transactional.kernel.reconcile import reconcile as compare
    from transactional.kernel.reconcile import replicas

    left = 0
    for replica in replicas():
        try:
            report = compare(replica, who, mend=not given.dry_run)
        except Problem as problem:
            raise Refused(f"{replica.consumer}: {problem.detail}") from problem
        left += len(report.drifts) - report.mended
        print(
            f"{report.replica}: {report.compared:,} compared with {report.source}, {len(report.drifts)} differ, ",
            end="",
        )
        print(f"{report.mended} mended")
        for drift in report.drifts[:20]:
            print(f"  {drift.kind} {drift.key}: {_explained(drift)}")
        if len(report.drifts) > 20:
            print(f"  … and {len(report.drifts) - 20} more")
    return 3 if left else 0


def repair(given: argparse.Namespace) -> int:
    home = running()
    if given.source == ["lake"]:
        from headwater.lake import lake
        from pipelines.lake.repairing import repair as repair_lake

        sentences = list(repair_lake(lake(config.current()), forget=given.forget))
        print("\n".join(sentences) or "The lake has every file, and every row that the change log has.")
        return 0
    from headwater import repairs

    for sentence in repairs.repair(home, config.current(), given.source, force=given.force):
        print(sentence, flush=True)
    return 0


def parked(given: argparse.Namespace) -> int:
    running()
    from headwater import parking

    settings = config.current()
    if given.action == "list":
        sentences = list(parking.listed(settings))
        print("\n".join(sentences) or "Nothing is parked.")
        return 0
    for sentence in parking.replay(settings):
        print(sentence)
    return 0


def _explained(drift: Any) -> str:
    if drift.fields:
        return ", ".join(f"{name} is {here!r}, should be {there!r}" for name, (here, there) in drift.fields.items())
    return f"version {drift.version_here}, its master has {drift.version_there}"
