"""The Dagster of a stack as a person or a script meets it: over GraphQL, and as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headwater import proc
from headwater.state import read_json
from tests.stack import Stack, eventually

_LAUNCH = (
    "mutation($given: ExecutionParams!) {launchPipelineExecution(executionParams: $given)"
    " {__typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"
)
_STARTED = re.compile(r"^Started process for run \(pid: (\d+)\)")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


@dataclass(frozen=True)
class Dagster:
    stack: Stack

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.stack.config.dagster_port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Raises OSError while the webserver is away."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = json.loads(answer.read())
        assert not content.get("errors"), content["errors"]
        found: dict[str, Any] = content["data"]
        return found

    def is_well(self) -> bool:
        """Whether pages answer, the code is loaded and every daemon has given a sign of life."""
        try:
            found = self.ask(
                "{workspaceOrError {... on Workspace {locationEntries {loadStatus locationOrLoadError {__typename}}}}"
                " instance {daemonHealth {allDaemonStatuses {healthy required}}}}"
            )
        except OSError:
            return False
        entries = found["workspaceOrError"]["locationEntries"]
        loaded = [e["loadStatus"] == "LOADED" and e["locationOrLoadError"] is not None for e in entries]
        types = [(e["locationOrLoadError"] or {}).get("__typename") for e in entries]
        daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"]
        healthy = all(daemon["healthy"] for daemon in daemons if daemon["required"])
        return loaded == [True] and types == ["RepositoryLocation"] and healthy

    def is_idle(self) -> bool:
        """Whether no run is queued or under way, a schedule's either."""
        under_way = "[QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]"
        found = self.ask(f"{{runsOrError(filter: {{statuses: {under_way}}}) {{... on Runs {{results {{runId}}}}}}}}")
        return found["runsOrError"] == {"results": []}

    def await_well(self, timeout: float = 180.0) -> None:
        eventually(self.is_well, timeout, "Dagster is well")

    def part(self, name: str) -> int | None:
        """The process of ``code``, ``webserver`` or ``daemon`` as of the keeper's last beat."""
        found = read_json(self.stack.home.heartbeat("dagster")).get("detail", {}).get(name)
        return found if isinstance(found, int) and proc.alive(found) else None

    def launch(self, job: str, assets: Sequence[Sequence[str]] = (), partition: str | None = None) -> str:
        """Starts a run and returns its id; ``assets`` of ``__ASSET_JOB``, by their keys."""
        selector: dict[str, Any] = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "headwater",
            "pipelineName": job,
        }
        if assets:
            selector |= {"assetSelection": [{"path": list(path)} for path in assets]}
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        given = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": tags}}

        def launched() -> str | None:
            try:
                answer = self.ask(_LAUNCH, given=given)["launchPipelineExecution"]
            except OSError:  # a code server that was killed is looked for again within seconds
                return None
            return str(answer["run"]["runId"]) if answer["__typename"] == "LaunchRunSuccess" else None

        return str(eventually(launched, 60, f"{job} is launched"))

    def status(self, run: str) -> str:
        found = self.ask("query($run: ID!) {runOrError(runId: $run) {... on Run {status}}}", run=run)
        return str(found["runOrError"]["status"])

    def await_end(self, run: str, timeout: float = 200.0) -> str:
        """SUCCESS, FAILURE or CANCELED."""

        def ended() -> str | None:
            try:
                found = self.status(run)
            except OSError:
                return None
            return found if found in ENDED else None

        return str(eventually(ended, timeout, f"run {run} ends"))

    def process(self, run: str) -> int:
        """The process that executes a run, as the run's own log names it; others may run beside it."""
        query = (
            "query($run: ID!) {runOrError(runId: $run) {... on Run {eventConnection {events"
            " {... on MessageEvent {message}}}}}}"
        )
        events = self.ask(query, run=run)["runOrError"]["eventConnection"]["events"]
        (pid,) = (found[1] for event in events if (found := _STARTED.search(event["message"])))
        return int(pid)

    def kill(self, pid: int | None) -> None:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
