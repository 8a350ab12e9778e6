"""Meilisearch's HTTP API as far as search needs it: connections that are kept, tasks, errors as ours.

The official client opens a connection for every request, which is most of the time of a small search.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
import orjson

from search.errors import DocumentRefused, EngineUnavailable, IndexMissing, SearchError

OLDEST: Final = (1, 21)
"""The oldest version that the contract suite passes with."""

SEARCH_SECONDS: Final = 3.0
WRITE_SECONDS: Final = 30.0
TASK_SECONDS: Final = 120.0
"""How long an answer, the taking of a request and a task may take until the engine counts as unavailable."""

_OURS: Final = {"no_space_left_on_device", "io_error", "too_many_open_files", "database_size_limit_reached", "internal"}
"""Codes of failures that have nothing to do with what was sent."""

_NOT_OURS: Final = {"invalid_search_filter", "invalid_search_attributes_to_search_on"}
"""An index without our settings: Meilisearch lost ours and made one by itself."""

_JSON: Final = {"Content-Type": "application/json"}


class Refusal(SearchError):
    """Meilisearch says no, for a reason of the request; ``code`` as in its list of error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"Meilisearch refuses: {message} ({code})")
        self.code = code


class Client:
    def __init__(self, url: str, key: str | None) -> None:
        self._url = url
        # A compressed answer comes in pieces, each of which waits for our delayed acknowledgement: 45 ms instead of 4.
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers=headers,
            timeout=httpx.Timeout(WRITE_SECONDS, connect=2.0),
            limits=httpx.Limits(max_keepalive_connections=16),
            trust_env=False,
        )
        self._version: tuple[int, ...] | None = None

    def require_version(self) -> None:
        """Raises EngineUnavailable for a server that is too old."""
        if self._version is None:
            said = str(self.get("/version")["pkgVersion"])
            version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
            if version < OLDEST:
                oldest = ".".join(map(str, OLDEST))
                raise EngineUnavailable(f"Meilisearch at {self._url} is {said}; use {oldest} or newer.")
            self._version = version

    def get(self, path: str) -> Any:
        return self._call("GET", path, None, None)

    def post(self, path: str, content: object, *, reading: bool = False) -> Any:
        return self._call("POST", path, orjson.dumps(content), SEARCH_SECONDS if reading else None)

    def task(self, method: str, path: str, content: object) -> int:
        """Asks for something that Meilisearch does later; answers the task's number."""
        body = None if content is None else orjson.dumps(content)
        return int(self._call(method, path, body, None)["taskUid"])

    def put_lines(self, index: str, lines: Sequence[bytes]) -> int:
        """Over a connection of its own: a server out of disk answers before it has read all that is sent, and would
        give the next question of a kept connection no answer."""
        headers = {"Content-Type": "application/x-ndjson", "Connection": "close"}
        return int(self._call("PUT", f"/indexes/{index}/documents", b"\n".join(lines), None, headers)["taskUid"])

    def await_task(self, number: int) -> None:
        """Until the task has succeeded: what it wrote is found from then on. Raises what it failed for."""
        deadline, pause = time.monotonic() + TASK_SECONDS, 0.004
        while True:
            task = self.get(f"/tasks/{number}")
            if task["status"] == "succeeded":
                return
            if task["status"] in ("failed", "canceled"):
                error = task.get("error") or {}
                code, message = str(error.get("code", "canceled")), str(error.get("message", "the task was cancelled"))
                raise _failure(code, message, str(error.get("type", "")))
            if time.monotonic() > deadline:
                raise EngineUnavailable(f"Meilisearch has not done task {number} in {TASK_SECONDS:.0f} s.")
            time.sleep(pause)
            pause = min(0.1, pause * 1.5)

    def close(self) -> None:
        self._http.close()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        timeout: float | None,
        headers: Mapping[str, str] = _JSON,
    ) -> Any:
        try:
            answer = self._http.request(
                method,
                path,
                content=body,
                headers=None if body is None else headers,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
            )
        except httpx.TimeoutException as error:
            raise EngineUnavailable(f"Meilisearch at {self._url} gives no answer in time.") from error
        except httpx.HTTPError as error:
            raise EngineUnavailable(f"Meilisearch at {self._url} cannot be reached ({error}).") from error
        if answer.is_success:
            return orjson.loads(answer.content) if answer.content else None
        try:
            said = orjson.loads(answer.content)
            code, message, kind = str(said["code"]), str(said["message"]), str(said.get("type", ""))
        except (ValueError, KeyError, TypeError):
            raise EngineUnavailable(f"Meilisearch at {self._url} answers {answer.status_code}.") from None
        if answer.status_code in (401, 403):
            raise EngineUnavailable(f"Meilisearch at {self._url} refuses the key of HEADWATER_SEARCH_KEY: {message}")
        raise _failure(code, message, kind if answer.status_code < 500 else "internal", path)


def _failure(code: str, message: str, kind: str, path: str = "") -> SearchError:
    if code == "index_not_found" or code in _NOT_OURS:
        return IndexMissing(f"Meilisearch: {message}")
    if code in _OURS or kind in ("internal", "system", ""):
        return EngineUnavailable(f"Meilisearch cannot at the moment: {message}")
    if not path or path.endswith("/documents"):
        return DocumentRefused(f"Meilisearch refuses a document: {message} ({code})")
    return Refusal(code, message)
