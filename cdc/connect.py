"""Kafka Connect's REST interface: connectors made, changed, looked at and removed, with errors that say which."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from cdc.connectors import Definition
from cdc.errors import (
    ConnectBusy,
    ConnectFailed,
    ConnectorMissing,
    ConnectUnavailable,
    InvalidDefinition,
    PluginIncompatible,
    PluginMissing,
)

REBALANCING: Final = 409
"""Answer of a worker whose group is being rebalanced, or that has yet to read a change that was made elsewhere. Some
calls answer 500 for the same reason and tell it in words."""


@dataclass(frozen=True, slots=True)
class Task:
    """``state`` is RUNNING, PAUSED, FAILED, UNASSIGNED, RESTARTING or STOPPED; ``trace`` a failed one's stack trace."""

    number: int
    state: str
    worker: str
    trace: str = ""

    @property
    def cause(self) -> str:
        """The innermost cause of its failure; empty if it did not fail."""
        return cause(self.trace)


@dataclass(frozen=True, slots=True)
class Status:
    """A connector and its tasks. A killed worker's tasks say RUNNING until its group has noticed."""

    name: str
    state: str
    worker: str
    trace: str
    tasks: tuple[Task, ...]

    @property
    def running(self) -> bool:
        return self.state == "RUNNING" and bool(self.tasks) and all(task.state == "RUNNING" for task in self.tasks)

    @property
    def failed(self) -> bool:
        return self.state == "FAILED" or any(task.state == "FAILED" for task in self.tasks)

    @property
    def causes(self) -> list[str]:
        """Why connector and tasks failed, each cause once."""
        return list(dict.fromkeys(filter(None, (cause(self.trace), *(task.cause for task in self.tasks)))))


def cause(trace: str) -> str:
    """The last message of a Java stack trace's chain of causes, without the exception's class."""
    heads = [line for line in trace.splitlines() if line and not line.startswith(("\t", "   "))]
    chain = [line.removeprefix("Caused by: ") for line in heads if line == heads[0] or line.startswith("Caused by: ")]
    if not chain:
        return ""
    kind, _, message = chain[-1].partition(": ")
    return message or kind


class Connect:
    """A client of one Connect cluster; ``urls`` are its workers, any of which will do.

    ``patience`` is how many seconds a rebalance, or workers that are all still starting, are waited for. Raises
    ConnectUnavailable when no worker answers.
    """

    def __init__(self, urls: Sequence[str], *, timeout: float = 20.0, patience: float = 60.0) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._patience = patience
        # What the environment says of proxies is for the world outside, and these are neighbours.
        self._client = httpx.Client(timeout=timeout, trust_env=False)

    def __enter__(self) -> Connect:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def plugins(self) -> dict[str, str]:
        """Class → version of every connector that the workers have."""
        return {plugin["class"]: plugin.get("version", "") for plugin in self._call("GET", "/connector-plugins")}

    def require_plugin(self, plugin: str, version: str) -> None:
        """Raises PluginMissing, or PluginIncompatible if it is not ``version`` or one of its patches."""
        known = self.plugins()
        found = known.get(plugin)
        if found is None:
            raise PluginMissing(plugin, known)
        if not f"{found}.".startswith(f"{version}."):
            raise PluginIncompatible(plugin, wanted=version, found=found)

    def names(self) -> list[str]:
        return sorted(self._call("GET", "/connectors"))

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's settings as Connect keeps them; None if there is none of this name."""
        try:
            found = self._call("GET", f"/connectors/{_path(name)}", missing=name)
        except ConnectorMissing:
            return None
        # A worker that is just forgetting it answers 200 and null; …/config then breaks on that null with a 500.
        return None if found is None else dict(found["config"])

    def validate(self, definition: Definition) -> None:
        """Has the connector judge its settings; it tries the database. Changes nothing.

        Raises PluginMissing, or InvalidDefinition that names every setting with what is wrong with it.
        """
        plugin = definition.config["connector.class"]
        known = self.plugins()
        if plugin not in known:
            raise PluginMissing(plugin, known)
        body = {"name": definition.name, **definition.config}
        answer = self._call("PUT", f"/connector-plugins/{_path(plugin)}/config/validate", body)
        problems = {
            setting["value"]["name"]: " ".join(setting["value"]["errors"])
            for setting in answer["configs"]
            if setting["value"]["errors"]
        }
        if problems:
            raise InvalidDefinition(definition.name, problems)

    def put(self, definition: Definition) -> bool:
        """Makes the connector, or gives it these settings; whether anything changed.

        Raises as ``validate``; then the connector is as it was.
        """
        if self.config(definition.name) == {"name": definition.name, **definition.config}:
            return False
        self.validate(definition)
        self._call("PUT", f"/connectors/{_path(definition.name)}/config", dict(definition.config))
        return True

    def status(self, name: str) -> Status:
        """A connector that no worker has taken up yet is UNASSIGNED; raises ConnectorMissing."""
        try:
            found = self._call("GET", f"/connectors/{_path(name)}/status", missing=name)
        except ConnectorMissing:
            if self.config(name) is None:
                raise
            return Status(name, "UNASSIGNED", "", "", ())
        own = found["connector"]
        tasks = (Task(task["id"], task["state"], task["worker_id"], task.get("trace", "")) for task in found["tasks"])
        return Status(found["name"], own["state"], own["worker_id"], own.get("trace", ""), tuple(tasks))

    def pause(self, name: str) -> None:
        """Its tasks wait and keep what they hold; raises ConnectorMissing."""
        self._call("PUT", f"/connectors/{_path(name)}/pause", missing=name)

    def resume(self, name: str) -> None:
        self._call("PUT", f"/connectors/{_path(name)}/resume", missing=name)

    def stop(self, name: str) -> None:
        """Ends its tasks, so that slots are free and offsets may be changed; raises ConnectorMissing."""
        self._call("PUT", f"/connectors/{_path(name)}/stop", missing=name)

    def restart(self, name: str, *, only_failed: bool = False) -> None:
        """Restarts connector and tasks, or those alone that failed; raises ConnectorMissing."""
        query = f"includeTasks=true&onlyFailed={str(only_failed).lower()}"
        self._call("POST", f"/connectors/{_path(name)}/restart?{query}", missing=name)

    def delete(self, name: str) -> None:
        """Removes the connector and returns once it is gone. Its offsets stay, so one of the same name goes on there.

        Raises ConnectorMissing, or ConnectBusy if it is still there after ``patience``.
        """
        path = f"/connectors/{_path(name)}"
        self._call("DELETE", path, missing=name)
        deadline = time.monotonic() + self._patience
        while self.config(name) is not None:  # a worker forgets it when it reads so in the topic of definitions
            if time.monotonic() > deadline:
                raise ConnectBusy("DELETE", path, self._patience, "the connector is still there")
            time.sleep(0.1)

    def offsets(self, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """What the connector has delivered: (partition, offset) pairs; raises ConnectorMissing."""
        found = self._call("GET", f"/connectors/{_path(name)}/offsets", missing=name)
        # A worker that is just reading that they were deleted still names the partition, with null.
        return [(entry["partition"], entry["offset"]) for entry in found["offsets"] if entry["offset"] is not None]

    def alter_offsets(self, name: str, offsets: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """Sets offsets of a stopped connector; raises ConnectorMissing, or ConnectFailed if it is not stopped."""
        body = {"offsets": [{"partition": dict(partition), "offset": dict(offset)} for partition, offset in offsets]}
        self._call("PATCH", f"/connectors/{_path(name)}/offsets", body, missing=name)

    def delete_offsets(self, name: str) -> None:
        """Forgets what a stopped connector has delivered; raises as ``alter_offsets``."""
        self._call("DELETE", f"/connectors/{_path(name)}/offsets", missing=name)

    def _call(self, method: str, path: str, body: object = None, *, missing: str = "") -> Any:
        deadline = time.monotonic() + self._patience
        while True:
            late = time.monotonic() > deadline
            try:
                answer = self._ask(method, path, body)
            except ConnectUnavailable as error:
                if late or not error.starting:
                    raise
            else:
                if not _rebalancing(answer):
                    break
                if late:
                    raise ConnectBusy(method, path, self._patience, _message(answer))
            time.sleep(0.25)
        if answer.status_code == httpx.codes.NOT_FOUND and missing:
            raise ConnectorMissing(missing)
        if answer.is_error:
            raise ConnectFailed(method, path, answer.status_code, _message(answer))
        return answer.json() if answer.content else None

    def _ask(self, method: str, path: str, body: object) -> httpx.Response:
        """The first worker's answer that gives one. Every call may be made twice: none depends on what was before."""
        failures = []
        starting = False
        for url in self._urls:
            try:
                answer = self._client.request(method, url + path, json=body)
            except httpx.TransportError as error:
                failures.append(f"{url}: {error}")
                continue
            if not _starting(answer):
                return answer
            failures.append(f"{url}: it is starting")
            starting = True
        raise ConnectUnavailable(failures, starting=starting)


def _path(name: str) -> str:
    return quote(name, safe="")


def _starting(answer: httpx.Response) -> bool:
    """A worker that has yet to join its group knows none of its paths: its web server answers, and with 404."""
    foreign = "json" not in answer.headers.get("content-type", "")
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE or (answer.is_error and foreign)


def _rebalancing(answer: httpx.Response) -> bool:
    return answer.status_code == REBALANCING or (answer.is_server_error and "rebalance" in _message(answer))


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()[:500]
