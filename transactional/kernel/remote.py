"""One HTTP call to a service in another process: within a deadline, tried again where that is safe, and not at all
while the service's circuit breaker is open."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx
import orjson
from django.conf import settings

from transactional.kernel import observing
from transactional.kernel.breaker import Breaker, Open, State
from transactional.kernel.context import Context
from transactional.kernel.limits import Limits
from transactional.kernel.problems import RemoteProblem, Unavailable
from transactional.kernel.registry import RegistryError

ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = 0.1
"""Upper bound of the first pause; each further one's is twice as long."""
PASSING: Final = frozenset({502, 503, 504})
"""Statuses that another attempt may mend. A 500 is a fault: it would be the same again."""


@dataclass(slots=True)
class _Line:
    """The way to one service, as its address and limits are now."""

    base: str
    limits: Limits
    breaker: Breaker


class _Failed(Exception):
    """An attempt that brought no usable answer. ``passing``: another one may, after ``pause`` seconds at least."""

    def __init__(self, problem: Unavailable, *, passing: bool, pause: float = 0.0) -> None:
        super().__init__(problem.detail)
        self.problem, self.passing, self.pause = problem, passing, pause


_lines: dict[str, _Line] = {}
_counted: Counter[tuple[str, str]] = Counter()
_lock = threading.Lock()


def request(service: str, method: str, path: str, ctx: Context, content: bytes | None = None) -> httpx.Response:
    """The answer below 400 of a service that another process hosts.

    A GET, and a POST under an idempotency key, is attempted up to three times, with pauses of random length between
    (full jitter); anything else once. Raises RemoteProblem for what the service refused, Unavailable (503, with the
    service's name) where it gives no answer, answers with 5xx, or has its breaker open.
    """
    line = _line(service)
    deadline = time.monotonic() + line.limits.deadline
    safe = method == "GET" or ctx.idempotency_key is not None
    headers = _headers(ctx)
    for attempt in range(ATTEMPTS):
        try:
            sent = httpx.Request(method, line.base + path, headers=headers, content=content)
            return _attempt(service, line, sent, deadline, safe)
        except _Failed as failed:
            pause = failed.pause + random.uniform(0, PAUSE_SECONDS * 2**attempt)
            in_time = time.monotonic() + pause + line.limits.connect < deadline
            if not (safe and failed.passing and in_time and attempt + 1 < ATTEMPTS):
                raise failed.problem from failed
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def states() -> dict[str, State]:
    """The breaker of each service that this process has called."""
    with _lock:
        return {service: line.breaker.state for service, line in _lines.items()}


def counts() -> dict[tuple[str, str], int]:
    """Attempts by (service, what came of them): answered, failed, or refused by the breaker, without an attempt."""
    with _lock:
        return dict(_counted)


def _attempt(service: str, line: _Line, sent: httpx.Request, deadline: float, safe: bool) -> httpx.Response:
    """One attempt. Raises _Failed, RemoteProblem, or Unavailable where the breaker lets nothing through."""
    try:
        ticket = line.breaker.admit()
    except Open as refused:
        _count(service, "refused")
        seconds = max(1, math.ceil(refused.seconds))
        raise Unavailable(
            f"Service {service} failed {line.limits.failures} times in a row and is left alone for {seconds} s.",
            service=service,
            retry_after=seconds,
        ) from None
    left = max(deadline - time.monotonic(), 0.001)
    silence = min(left, line.limits.read) if sent.method == "GET" else left
    sent.extensions["timeout"] = httpx.Timeout(silence, connect=min(left, line.limits.connect)).as_dict()
    alive = False
    try:
        answer = _client().send(sent)
        alive = answer.status_code < 500
    except httpx.HTTPError as error:
        raise _Failed(_silent(service, line.base, error, safe), passing=True) from error
    finally:
        line.breaker.settle(ticket, succeeded=alive)
        _count(service, "answered" if alive else "failed")
    if answer.status_code < 400:
        return answer
    said = _problem_in(answer)
    if not alive:
        seconds = _seconds(answer.headers.get("Retry-After"))
        detail = said["detail"] if said else "It does not say why."
        raise _Failed(
            Unavailable(
                f"Service {service} at {line.base} answered {answer.status_code}: {detail}",
                service=service,
                retry_after=max(1, seconds),
            ),
            passing=answer.status_code in PASSING,
            pause=seconds,
        )
    if said is None:
        raise Unavailable(
            f"Service {service} at {line.base} answered {answer.status_code} without saying why.", service=service
        )
    raise RemoteProblem(answer.status_code, said)


def _silent(service: str, base: str, error: httpx.HTTPError, safe: bool) -> Unavailable:
    sentence = f"Service {service} at {base} gives no answer ({type(error).__name__}: {error})."
    if not safe and not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        sentence += " Whether it did what was asked is not known: look before asking again, or ask with an"
        sentence += " Idempotency-Key."
    return Unavailable(sentence, service=service)


def _problem_in(answer: httpx.Response) -> dict[str, Any] | None:
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    document: dict[str, Any] = orjson.loads(answer.content)
    return document


def _seconds(text: str | None) -> int:
    """``Retry-After`` in seconds; 0 where it is absent or a date, which none of our services sends."""
    return int(text) if text and text.isascii() and text.isdigit() else 0


def _headers(ctx: Context) -> dict[str, str]:
    """What the caller said, and who it is: on whose behalf stands in the token itself."""
    headers = {"Content-Type": "application/json", "Request-Id": str(ctx.request_id)}
    for name, value in (
        ("Authorization", ctx.token and f"Bearer {ctx.token}"),
        ("Idempotency-Key", ctx.idempotency_key),
        ("If-Match", None if ctx.expected_version is None else f'"{ctx.expected_version}"'),
        ("Headwater-Reason", ctx.reason),
        ("traceparent", observing.traceparent()),
    ):
        if value:
            headers[name] = value
    return headers


def _line(service: str) -> _Line:
    base = settings.HEADWATER_SERVICE_URLS.get(service)
    if base is None:
        raise RegistryError(f"Service {service} is not hosted here and the configuration names no URL for it.")
    base, limits = base.rstrip("/"), settings.HEADWATER_CALLS
    with _lock:
        line = _lines.get(service)
        if line is None or (line.base, line.limits) != (base, limits):
            line = _lines[service] = _Line(base, limits, Breaker(limits.failures, limits.rest))
        return line


def _count(service: str, outcome: str) -> None:
    with _lock:
        _counted[service, outcome] += 1


@cache
def _client() -> httpx.Client:
    # Services talk to each other directly, whatever proxy the environment names for the world outside.
    return httpx.Client(trust_env=False)
