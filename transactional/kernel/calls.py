"""Calling commands and reading resources by name, in this process or in the one that hosts the service."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import orjson
from django.conf import settings

from transactional.kernel.context import Context
from transactional.kernel.execution import Answer, CallInsideCommand, run, running_command
from transactional.kernel.problems import RemoteProblem, Unavailable
from transactional.kernel.reading import read_one, read_page
from transactional.kernel.registry import RegistryError, command_named, resource_named
from transactional.kernel.validation import dump

__all__ = ["Answer", "CallInsideCommand", "execute", "fetch", "fetch_page", "invoke"]

TIMEOUT_SECONDS = 30.0


def execute(name: str, payload: Mapping[str, Any], ctx: Context) -> Answer:
    """Runs a command of a service that this process hosts. Raises a Problem."""
    _outside(name)
    return run(command_named(name), payload, ctx)


def invoke(name: str, payload: Mapping[str, Any], ctx: Context) -> Answer:
    """Runs a command of any service: here where it is hosted here, else over HTTP, with the same answer and errors.

    Never inside a command's transaction: two services have no transaction together (CallInsideCommand).
    """
    _outside(name)
    service = name.partition(".")[0]
    if service in settings.HEADWATER_SERVICES:
        return execute(name, payload, ctx)
    return _post(service, f"/api/{service}/commands/{name}", payload, ctx)


def fetch(resource: str, pk: UUID, ctx: Context) -> dict[str, Any]:
    """One resource of any service, as its API shows it. Raises Absent, Forbidden, or what the other service said."""
    _outside(resource)
    service = resource.partition(".")[0]
    if service in settings.HEADWATER_SERVICES:
        found: dict[str, Any] = read_one(resource_named(resource), pk, ctx).data
        return found
    answer = _request(service, "GET", f"/api/{service}/resources/{resource}/{pk}", ctx)
    document: dict[str, Any] = orjson.loads(answer.content)
    return document


def fetch_page(resource: str, parameters: Mapping[str, str], ctx: Context) -> dict[str, Any]:
    """A page of any service's resource, ``{"items", "next"}``, as its API gives it for the query ``parameters``."""
    _outside(resource)
    service = resource.partition(".")[0]
    if service in settings.HEADWATER_SERVICES:
        found: dict[str, Any] = read_page(resource_named(resource), parameters, ctx).data
        return found
    answer = _request(service, "GET", f"/api/{service}/resources/{resource}?{urlencode(parameters)}", ctx)
    document: dict[str, Any] = orjson.loads(answer.content)
    return document


def _outside(name: str) -> None:
    inside = running_command()
    if inside is not None:
        raise CallInsideCommand(
            f"{inside} called {name} from within its transaction. Rely on a replica, or let a saga make the call."
        )


def _post(service: str, path: str, payload: Mapping[str, Any], ctx: Context) -> Answer:
    answer = _request(service, "POST", path, ctx, content=dump(payload))
    etag = answer.headers.get("ETag")
    return Answer(
        status=answer.status_code,
        body=answer.content,
        version=int(etag.strip('"')) if etag else None,
        position=answer.headers.get("Headwater-Position"),
        replayed=answer.headers.get("Idempotent-Replayed") == "true",
    )


def _request(service: str, method: str, path: str, ctx: Context, content: bytes | None = None) -> httpx.Response:
    base = settings.HEADWATER_SERVICE_URLS.get(service)
    if base is None:
        raise RegistryError(f"Service {service} is not hosted here and the configuration names no URL for it.")
    headers = {"Content-Type": "application/json", "Request-Id": str(ctx.request_id)}
    for name, value in (
        ("Authorization", ctx.token and f"Bearer {ctx.token}"),
        ("Idempotency-Key", ctx.idempotency_key),
        ("If-Match", None if ctx.expected_version is None else f'"{ctx.expected_version}"'),
        ("Headwater-Reason", ctx.reason),
    ):
        if value:
            headers[name] = value
    try:
        answer = _client().request(method, base.rstrip("/") + path, headers=headers, content=content)
    except httpx.HTTPError as error:
        raise Unavailable(f"Service {service} at {base} gives no answer: {error}") from error
    if answer.status_code < 400:
        return answer
    if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        raise RemoteProblem(answer.status_code, orjson.loads(answer.content))
    raise Unavailable(f"Service {service} at {base} answered {answer.status_code} without saying why.")


@cache
def _client() -> httpx.Client:
    return httpx.Client(timeout=TIMEOUT_SECONDS)
