"""Reading resources: one, or a page of them by keyset, always within the actor's rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from policy.decide import may, scopes
from policy.rows import contains
from transactional.kernel import audit
from transactional.kernel.base import RowQuerySet, Versioned
from transactional.kernel.context import Context
from transactional.kernel.execution import Answer
from transactional.kernel.lifecycle import BoundLifecycle
from transactional.kernel.problems import Absent, Forbidden, Invalid, Rejected, from_validation
from transactional.kernel.registry import CommandSpec, ResourceSpec, commands

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


def read_one(spec: ResourceSpec, pk: UUID, caller: Context) -> Answer:
    """The resource with ``allowed_actions``. Raises Forbidden, Absent."""
    ctx = _permitted(spec, caller)
    row = _rows(spec, ctx).filter(pk=pk).first()
    if row is None:
        if spec.model._default_manager.filter(pk=pk).exists():
            audit.note_access(
                spec.service,
                "refused",
                ctx.actor,
                spec.permission,
                resource=spec.name,
                resource_id=pk,
                ctx=ctx,
                detail="out of scope",
            )
        raise Absent(spec.name, pk)
    if spec.personal:
        audit.note_access(spec.service, "read", ctx.actor, spec.permission, resource=spec.name, resource_id=pk, ctx=ctx)
    document = spec.view.model_validate(row).model_dump(mode="json")
    body = orjson.dumps(document | {"allowed_actions": allowed_actions(spec, row, ctx)})
    return Answer(200, body, row.version)


def read_page(spec: ResourceSpec, parameters: Mapping[str, str], caller: Context) -> Answer:
    """``{"items", "next"}``: rows in key order after ``after``, at most ``limit``, where every filter is equal."""
    ctx = _permitted(spec, caller)
    unknown = parameters.keys() - {"limit", "after", *spec.filters}
    if unknown:
        name = min(unknown)
        raise Invalid(name, "unknown_parameter", f"Known: {', '.join(['limit', 'after', *spec.filters])}.")
    limit = _parameter(parameters, "limit", int) if "limit" in parameters else DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", "range", f"must be 1 to {MAX_LIMIT}")
    rows = _rows(spec, ctx).order_by("pk")
    if "after" in parameters:
        rows = rows.filter(pk__gt=_parameter(parameters, "after", UUID))
    for name in spec.filters:
        if name in parameters:
            value = _parameter(parameters, name, spec.view.model_fields[name].annotation)
            rows = rows.filter(**{name: value} if value is not None else {f"{name}__isnull": True})
    found = list(rows[: limit + 1])
    items = [spec.serialise(row) for row in found[:limit]]
    following = orjson.dumps(found[limit - 1].pk) if len(found) > limit else b"null"
    return Answer(200, b'{"items":[' + b",".join(items) + b'],"next":' + following + b"}")


def allowed_actions(spec: ResourceSpec, row: Versioned, ctx: Context) -> list[dict[str, str]]:
    """What this actor could do with this row now: by permission, row scope, lifecycle, the command's own condition."""
    return [
        {
            "command": command.name,
            "title": command.title,
            "href": f"/api/{command.service}/{command.path.replace('{id}', str(row.pk))}",
        }
        for command in commands(spec.service)
        if command.resource == spec.name and command.target is not None and _could(command, row, ctx)
    ]


def _could(command: CommandSpec, row: Versioned, ctx: Context) -> bool:
    roles = ctx.actor.roles
    if not may(roles, command.permission):
        return False
    if row.scoped() and not contains(ctx.actor, scopes(roles, command.permission, row.object_type()), row):
        return False
    lifecycle = getattr(row, "lifecycle", None)
    if (
        isinstance(lifecycle, BoundLifecycle)
        and lifecycle.names(command.verb or "")
        and not lifecycle.allows(command.verb or "")
    ):
        return False
    return command.available is None or command.available(row)


def _permitted(spec: ResourceSpec, caller: Context) -> Context:
    ctx = caller.running(service=spec.service, name=spec.permission, permission=spec.permission)
    if not may(ctx.actor.roles, spec.permission):
        audit.note_access(
            spec.service, "refused", ctx.actor, spec.permission, resource=spec.name, ctx=ctx, detail="no permission"
        )
        raise Forbidden(f"{ctx.actor.name} lacks the permission {spec.permission}.")
    return ctx


def _rows(spec: ResourceSpec, ctx: Context) -> RowQuerySet[Any]:
    return spec.model.objects.visible_to(ctx).prefetch_related(*spec.prefetch)


def _parameter(parameters: Mapping[str, str], name: str, kind: Any) -> Any:
    value = parameters[name]
    if "\x00" in value:
        raise Invalid(name, "nul_character", "must not contain the NUL character")
    try:
        return TypeAdapter(kind).validate_strings(value)
    except ValidationError as error:
        raise Rejected(f"Parameter {name} is not valid.", errors=from_validation(error, name)) from None
