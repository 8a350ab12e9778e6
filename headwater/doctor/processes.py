"""Checks of what runs: supervisor, workers, ports, databases that answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from headwater import ports, proc
from headwater.config import elsewhere
from headwater.doctor.findings import Finding, Patient, check
from headwater.embedded.probe import accepts
from headwater.gateway.asking import silence
from headwater.gateway.process import NAME, GatewayError, binary
from headwater.health import illness
from headwater.state import read_json

SILENT = 60.0
"""Seconds without a heartbeat after which a living worker counts as hung."""

RESTLESS = 3
"""Failures in a row that are no accident any more."""


@check
def supervisor(patient: Patient) -> list[Finding]:
    if patient.config is None or elsewhere() is not None:
        return []
    if patient.supervisor is None:
        state = read_json(patient.home.supervisor)
        why = ""
        if state.get("state") == "failed":
            why = f" The last start failed: {state['stage'].splitlines()[0]} See {patient.home.log('supervisor')}."
        return [Finding(f"Headwater does not run.{why}", "headwater up")]
    return []


@check
def port_conflicts(patient: Patient) -> list[Finding]:
    """No other program took a port that this installation remembers; in containers each process has its own."""
    if patient.config is None or elsewhere() is not None:
        return []
    running = {entry["port"]: entry for entry in patient.status["processes"] if entry["port"]}
    ours = {entry["pid"] for entry in running.values()}
    found = []
    for name, port in ports.of(patient.config).items():
        entry = running.get(port)
        if entry and entry["pid"]:
            continue
        if not ports.is_free(port):
            other = _listener(port)
            if other in ours:  # a second port of a process, such as the broker's controller
                continue
            who = f"process {other}" if other else "another program"
            what = f"Port {port} of {name} is taken by {who}."
            found.append(Finding(what, "headwater down && headwater up, which chooses another port"))
    return found


@check
def workers(patient: Patient) -> list[Finding]:
    """Every process runs and none fails again and again."""
    if patient.supervisor is None:
        return []
    raw = read_json(patient.home.supervisor).get("processes", {})
    found = []
    for entry in patient.status["processes"]:
        name = entry["name"]
        if entry["state"] == "waiting" or raw.get(name, {}).get("failures", 0) >= RESTLESS:
            log = patient.home.log(name)
            what = f"{name} fails ({entry['last_exit']}, {entry['restarts']} restarts): {_last_line(log)}"
            found.append(Finding(what, f"read {log}; it restarts by itself once the cause is gone"))
    return found


@check
def heartbeats(patient: Patient) -> list[Finding]:
    """Workers that live also move."""
    found = []
    for entry in patient.status["processes"]:
        path = patient.home.heartbeat(entry["name"])
        if not entry["heartbeat"] or not path.exists():
            continue
        age = time.time() - path.stat().st_mtime
        if age > SILENT:
            what = f"{entry['name']} (process {entry['pid']}) gave no sign of life for {age:.0f} s."
            found.append(Finding(what, f"kill {entry['pid']}, and the supervisor starts it anew"))
    return found


@check
def postgres(patient: Patient) -> list[Finding]:
    """Every cluster takes connections."""
    if patient.config is None or patient.supervisor is None:
        return []
    return [
        Finding(
            f"PostgreSQL ({name}) takes no connection on port {port}.",
            f"read {patient.home.log(name)}; then headwater down && headwater up",
        )
        for name, port in ports.of(patient.config).items()
        if name in ("oltp", "warehouse", *patient.config.clusters) and not accepts(port)
    ]


@check
def gateway(patient: Patient) -> list[Finding]:
    """nginx is installed, answers, and so does every service behind it."""
    if patient.config is None or patient.supervisor is None or not patient.config.gateway_port:
        return []
    try:
        binary()
    except GatewayError as error:
        return [Finding(str(error), "apt-get install nginx-light")]
    found = [
        Finding(what, f"read {patient.home.log(name)}; it is started again by itself")
        for name in ("web", *patient.config.service_ports)
        if (what := illness(patient.home, name))
    ]
    if why := silence(patient.config):
        what = f"The gateway gives no answer on port {patient.config.gateway_port}: {why}."
        found.append(Finding(what, f"read {patient.home.log(NAME)}"))
    return found


def _last_line(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "(no log)"
    return lines[-1][:300] if lines else "(empty log)"


def _listener(port: int) -> int | None:
    """The process that listens on the loopback port; None if the kernel does not say."""
    inodes = set(_listening_inodes(port))
    for pid in proc.pids():
        try:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return pid
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield f"socket:[{fields[9]}]"
