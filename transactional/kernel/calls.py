"""Calling commands and reading resources by name, in this process or in the one that hosts the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django.conf import settings

from transactional.kernel.context import Context
from transactional.kernel.execution import Answer, CallInsideCommand, run, running_command
from transactional.kernel.reading import read_one, read_page
from transactional.kernel.registry import RegistryError, command_named, resource_named
from transactional.kernel.remote import request
from transactional.kernel.validation import dump

__all__ = ["Answer", "CallInsideCommand", "execute", "fetch", "fetch_page", "invoke", "post"]


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
    return post(service, f"/api/{service}/commands/{name}", payload, ctx)


def fetch(resource: str, pk: UUID, ctx: Context) -> dict[str, Any]:
    """One resource of any service, as its API shows it. Raises Absent, Forbidden, or what the other service said."""
    _outside(resource)
    service = resource.partition(".")[0]
    if service in settings.HEADWATER_SERVICES:
        found: dict[str, Any] = read_one(resource_named(resource), pk, ctx).data
        return found
    answer = request(service, "GET", f"/api/{service}/resources/{resource}/{pk}", ctx)
    document: dict[str, Any] = orjson.loads(answer.content)
    return document


def fetch_page(resource: str, parameters: Mapping[str, str], ctx: Context) -> dict[str, Any]:
    """A page of any service's resource, ``{"items", "next"}``, as its API gives it for the query ``parameters``."""
    _outside(resource)
    service = resource.partition(".")[0]
    if service in settings.HEADWATER_SERVICES:
        found: dict[str, Any] = read_page(resource_named(resource), parameters, ctx).data
        return found
    answer = request(service, "GET", f"/api/{service}/resources/{resource}?{urlencode(parameters)}", ctx)
    document: dict[str, Any] = orjson.loads(answer.content)
    return document


def _outside(name: str) -> None:
    inside = running_command()
    if inside is not None:
        raise CallInsideCommand(
            f"{inside} called {name} from within its transaction. Rely on a replica, or let a saga make the call."
        )


def post(service: str, path: str, payload: Mapping[str, Any], ctx: Context) -> Answer:
    """A POST to a service that another process hosts, with its answer or its Problem. A rehearsal is refused: there it
    would be done in earnest."""
    if ctx.rehearsal:
        raise RegistryError(f"{path} cannot be rehearsed: service {service} is hosted elsewhere.")
    answer = request(service, "POST", path, ctx, content=dump(payload))
    etag = answer.headers.get("ETag")
    return Answer(
        status=answer.status_code,
        body=answer.content,
        version=int(etag.strip('"')) if etag else None,
        position=answer.headers.get("Headwater-Position"),
        replayed=answer.headers.get("Idempotent-Replayed") == "true",
    )
