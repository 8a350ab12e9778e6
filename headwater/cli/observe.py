"""``status`` and ``doctor``: what runs and how far behind it is; what is wrong and what mends it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from headwater import config
from headwater.state import Home


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status_ = commands.add_parser("status", help="processes, memory, and lag per source and sink")
    status_.add_argument("--json", action="store_true", help="for scripts")
    status_.set_defaults(run=status)
    doctor_ = commands.add_parser("doctor", help="explain what is wrong and name the command that mends it")
    doctor_.add_argument("--json", action="store_true", help="for scripts")
    doctor_.set_defaults(run=doctor)


def status(given: argparse.Namespace) -> int:
    from headwater.status import collect

    report = collect(Home(config.home()))
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return 0 if report["state"] == "running" else 3


def doctor(given: argparse.Namespace) -> int:
    from headwater.doctor import examine

    results = examine(Home(config.home()))
    findings = [(name, finding) for name, found in results.items() for finding in found]
    if given.json:
        print(json.dumps([{"check": name, "what": f.what, "command": f.command} for name, f in findings], indent=2))
    else:
        for name, finding in findings:
            print(f"✗ {name.replace('_', ' ')}: {finding.what}\n    → {finding.command}")
        healthy = [name.replace("_", " ") for name, found in results.items() if not found]
        print(f"✓ {', '.join(healthy)}" if healthy else "")
    return 3 if findings else 0


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from headwater.status import age, size

    console = Console(highlight=False)
    heading = f"Headwater in {report['home']}: {report['state']}"
    console.print(f"{heading} ({report['stage'].splitlines()[0]})" if report["stage"] else heading)
    if report["processes"]:
        table = Table("process", "pid", "port", "state", "memory", "cpu", "up", "restarts", box=None, pad_edge=False)
        for column in (1, 2, 4, 5, 6, 7):
            table.columns[column].justify = "right"
        for row in report["processes"]:
            heartbeat = row["heartbeat"] or {}
            state = f"{row['state']}: {heartbeat['error']}" if heartbeat.get("error") else row["state"]
            table.add_row(
                row["name"],
                str(row["pid"] or "–"),
                str(row["port"] or "–"),
                state,
                size(row["memory_bytes"]),
                age(row["cpu_seconds"]),
                age(row["uptime_seconds"]),
                str(row["restarts"]),
            )
        table.add_row("all", "", "", "", size(report["memory_bytes"]), "", "", "")
        console.print(table, "")
    if report["sources"]:
        table = Table("source", "slot", "reader", "unread", "kept", box=None, pad_edge=False)
        for row in report["sources"]:
            reader = "attached" if row["active"] else "absent"
            unread, kept = size(row["lag_bytes"]), size(row["retained_bytes"])
            table.add_row(row["source"], row["slot"], reader, unread, kept)
        console.print(table, "")
    if report["sinks"] or report["deliveries"]:
        table = Table("sink", "of", "waiting", "behind", box=None, pad_edge=False)
        for row in report["sinks"]:
            if row["sink"] == "landing":
                state = row["state"] or "–"
                if row["schema_changes"] == "polling":
                    state += ", schema changes polled"
                behind = "–" if row["lag_seconds"] is None else f"≤ {age(row['lag_seconds'])}"
                table.add_row("landing", row["source"], state, behind)
            else:
                table.add_row(row["sink"], "batches", str(row["pending"]), age(row["oldest_seconds"]))
        for row in report["deliveries"]:
            table.add_row("events", row["consumer"], str(row["pending"]), age(row["lag_seconds"]))
        console.print(table, "")
    if report["search"]:
        console.print(_search(report["search"]))
    parked = ", ".join(f"{count} {kind}" for kind, count in report["parked"].items() if count)
    if parked:
        console.print(f"Parked: {parked} (headwater parked list)")
    for split in report["splits"]:
        moving = f"{split['service']} is on its way to {split['to']} ({split['step']})"
        console.print(f"Half done: {moving}; headwater split {split['service']} goes on")
    if report["migration"]:
        console.print(f"! {report['migration']}")
    for problem in report["problems"]:
        console.print(f"! {problem}")


def _search(report: dict[str, Any]) -> str:
    """``Search (tantivy): 2,000 accounts, … documents``; what is not there by its reason."""
    parts = [
        f"{index['entity']} {index['problem']}" if index["problem"] else f"{index['documents']:,} {index['entity']}"
        for index in report["indexes"]
    ]
    refused = f"; {report['refused']} documents refused" if report["refused"] else ""
    return f"Search ({report['engine']}): {', '.join(parts) or report['problem']}{refused}"
