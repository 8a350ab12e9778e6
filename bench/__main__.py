"""``python -m bench [NAME …]``: runs the benchmarks one after the other, prints a table, writes docs/benchmarks.md.

Every module runs in a process of its own. Results are kept in bench/out/, so that running one module again renews
its part of the document alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench
from bench.figure import number

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "bench" / "out"
DOCUMENT = ROOT / "docs" / "benchmarks.md"


def modules() -> list[str]:
    """Names of the modules that have a ``run``."""
    names = (module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    return sorted(name for name in names if "\ndef run(" in (ROOT / "bench" / f"{name}.py").read_text())


def measure(name: str) -> None:
    """Runs one module in this process and keeps its result."""
    module = importlib.import_module(f"bench.{name}")
    began, load = time.monotonic(), os.getloadavg()[0]
    figures = [figure.as_dict() for figure in module.run()]
    subject = " ".join((module.__doc__ or name).split("\n\n")[0].split())
    result = {
        "name": name,
        "subject": subject,
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "seconds": round(time.monotonic() - began, 1),
        "machine": f"{machine()}, load average {load:.1f} before it",
        "figures": figures,
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(result, indent=1))


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    cores = len(os.sched_getaffinity(0))
    postgres = os.environ.get("HEADWATER_PG_MAJOR", "18")
    versions = f"Linux {platform.release()}, Python {platform.python_version()}, PostgreSQL {postgres}"
    return f"{cores} cores of {model}, {memory:.0f} GB, {versions}"


def table(result: dict[str, Any]) -> str:
    """A Markdown table of one module's figures, padded so that it reads as text too."""
    rows = [("figure", "measured", "promised", "", "how")]
    for figure in result["figures"]:
        verdict = {True: "met", False: "**missed**", None: ""}[figure["met"]]
        measured = f"{number(figure['value'])} {figure['unit']}".strip()
        rows.append((figure["name"], measured, figure["promise"], verdict, figure["how"]))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(f"| {' | '.join([*padded, row[4]])} |")
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in [*widths, 3]) + "|")
    return "\n".join(lines)


def write_document() -> None:
    results = [json.loads(path.read_text()) for path in sorted(OUT.glob("*.json"))]
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench`. CPU counts every process, PostgreSQL included; memory is the sum of PSS; a ratio to",
        "a peer was measured in the same run. A figure is one run unless it says otherwise.",
    ]
    for result in results:
        when = f"{result['measured_at'][:10]}, {result['seconds']:.0f} s, {result['machine']}"
        parts += ["", f"## {result['name']}", "", result["subject"], "", f"*{when}*", "", table(result)]
    DOCUMENT.write_text("\n".join(parts) + "\n")


def main() -> int:
    known = modules()
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("name", nargs="*", help=f"of {', '.join(known)} (default: all)")
    arguments.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if unknown := sorted(set(given.name) - set(known)):
        arguments.error(f"there is no benchmark {', '.join(unknown)}")
    if given.here:
        for name in given.name:
            measure(name)
        return 0
    failed = []
    for name in given.name or known:
        print(f"\n{name}", flush=True)
        done = subprocess.run([sys.executable, "-m", "bench", "--here", name], cwd=ROOT)
        if done.returncode:
            failed.append(name)
        else:
            print(table(json.loads((OUT / f"{name}.json").read_text())), flush=True)
    write_document()
    print(f"\nWritten to {DOCUMENT.relative_to(ROOT)}.")
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
