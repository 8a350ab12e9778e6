"""The OpenAPI document: every command and resource with its pydantic schema, and problem details for every refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import cache
from typing import Any, get_origin

import orjson
from django.apps import apps
from django.db import models
from django.http import HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import ComponentIdentity, ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import BaseModel, TypeAdapter, create_model

from transactional.contracts.base import Command
from transactional.kernel.bulk import ReferenceKey, Verdicts
from transactional.kernel.problems import ProblemBody
from transactional.kernel.reading import DEFAULT_LIMIT, MAX_LIMIT
from transactional.kernel.registry import CommandSpec, ResourceSpec, resource_named, resource_of

Decorator = Callable[[Any], Any]
_PROBLEM = "application/problem+json"
_WORDS = {
    400: "The body is not JSON",
    401: "No token, or not a good one",
    403: "The role lacks the permission",
    404: "No such object, or none that the caller may see",
    405: "Method not allowed",
    409: "Stale version, taken key, or not possible in this state",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "A field is not valid; errors name it",
    429: "Too many attempts",
    503: "The service's database gives no answer",
}
_READ = (400, 401, 403, 404, 405, 422, 503)
_WRITE = (400, 401, 403, 404, 405, 409, 413, 415, 422, 503)


class Action(BaseModel):
    """A command that the caller could give to this object now."""

    command: str
    title: str
    href: str


class PydanticSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Pydantic models as components; names carry the service, so that two services may use the same class name."""

    target_class = "pydantic.BaseModel"
    match_subclasses = True
    priority = 1

    def get_name(self, auto_schema: Any, direction: str) -> str:
        return f"{_service_of(self.target)}{self.target.__name__}"

    def get_identity(self, auto_schema: Any, direction: str) -> Any:
        """What the component says: a model is met by itself and within others, of which pydantic gives no class."""
        schema = _json_schema(self.target, direction)
        return _identity({name: value for name, value in schema.items() if name != "$defs"})

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        incoming = direction == "request"
        schema = deepcopy(_json_schema(self.target, direction))
        target = getattr(self.target, "target_field", None)
        if incoming and target is not None:  # the path names it
            schema["properties"].pop(target)
            schema["required"] = [name for name in schema.get("required", ()) if name != target]
        prefix, suffix = _service_of(self.target), "Input" if incoming else ""
        names = {name: f"{prefix}{name}{suffix}" for name in schema.get("$defs", {})}
        renamed: dict[str, Any] = _rename(schema, names)
        for name, definition in renamed.pop("$defs", {}).items():
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                names[name], ResolvedComponent.SCHEMA, definition, _identity(schema["$defs"][name])
            )
            auto_schema.registry.register_on_missing(component)
        return renamed


@cache
def _json_schema(model: type[BaseModel], direction: str) -> dict[str, Any]:
    return model.model_json_schema(
        ref_template="#/components/schemas/{model}", mode="validation" if direction == "request" else "serialization"
    )


def _identity(schema: dict[str, Any]) -> Any:
    return ComponentIdentity(schema)  # type: ignore[no-untyped-call]


def openapi(request: HttpRequest) -> HttpResponse:
    """``GET /api/openapi.json``: the document of this process's services, made once."""
    return HttpResponse(_document(), content_type="application/json")


@cache
def _document() -> bytes:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return orjson.dumps(schema)


def command_schema(spec: CommandSpec) -> Decorator:
    body: type[BaseModel] = _bulk_body(spec) if spec.is_bulk else spec.input
    created = spec.verb is None and not spec.is_bulk
    doc = (spec.function.__doc__ or "") if spec.is_bulk else (spec.input.__doc__ or "")
    return extend_schema(
        operation_id=spec.name.replace(".", "_"),
        tags=[spec.service],
        summary=doc.strip().partition("\n")[0] or spec.title,
        description=f"{doc.strip()}\n\nCommand `{spec.name}`, permission `{spec.permission}`.".strip(),
        request={"application/json": body},
        responses={201 if created else 200: _result(spec), **problems(_WRITE)},
        parameters=[*_path(spec.target is not None), *_headers(versioned=spec.target is not None)],
    )


def one_schema(spec: ResourceSpec) -> Decorator:
    detail = _named(spec.view, "Detail", __base__=spec.view, allowed_actions=(list[Action], ...))
    return extend_schema(
        operation_id=f"{spec.name.replace('.', '_')}_one",
        tags=[spec.service],
        description=f"{(spec.view.__doc__ or '').strip()}\n\nPermission `{spec.permission}`.",
        request=None,
        responses={200: detail, **problems(_READ)},
        parameters=_path(True),
    )


def page_schema(spec: ResourceSpec) -> Decorator:
    parameters = [
        _query("limit", int, f"Rows in the page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} unless given."),
        _query("after", str, "`next` of the page before.", {"type": "string", "format": "uuid"}),
    ]
    for name in spec.filters:
        annotation = spec.view.model_fields[name].annotation
        parameters.append(_query(name, annotation, f"Only rows whose {name} is this."))
    return extend_schema(
        operation_id=f"{spec.name.replace('.', '_')}_page",
        tags=[spec.service],
        description=f"A page of rows in key order.\n\nPermission `{spec.permission}`.",
        request=None,
        responses={200: _page_body(spec.view), **problems(_READ)},
        parameters=parameters,
    )


def problems(statuses: Iterable[int]) -> dict[tuple[int, str], OpenApiResponse]:
    """Problem responses for an operation's schema."""
    return {(status, _PROBLEM): OpenApiResponse(ProblemBody, description=_WORDS[status]) for status in statuses}


def _result(spec: CommandSpec) -> type[BaseModel]:
    if spec.is_bulk:
        return Verdicts
    result = spec.result
    if isinstance(result, type) and issubclass(result, models.Model):
        return resource_of(result).view
    if isinstance(result, type) and issubclass(result, BaseModel):
        return result
    if get_origin(result) is None and result is not None:
        raise TypeError(f"{spec.name} is annotated to return {result}, neither a model nor a pydantic model.")
    return resource_named(spec.resource).view


def _bulk_body(spec: CommandSpec) -> type[BaseModel]:
    row = _named(spec.input, "Row", key=(ReferenceKey | None, None), data=(spec.input, ...))
    return _named(spec.input, "Rows", rows=(list[row], ...))  # type: ignore[valid-type]


@cache
def _page_body(view: type[BaseModel]) -> type[BaseModel]:
    return _named(view, "Page", items=(list[view], ...), next=(str | None, ...))  # type: ignore[valid-type]


def _named(origin: type[BaseModel], suffix: str, **fields: Any) -> type[BaseModel]:
    made: type[BaseModel] = create_model(f"{origin.__name__}{suffix}", __module__=origin.__module__, **fields)
    if issubclass(made, Command):
        raise TypeError("a body is not a command")
    return made


def _path(present: bool) -> list[OpenApiParameter]:
    schema = {"type": "string", "format": "uuid"}
    return [OpenApiParameter("id", schema, OpenApiParameter.PATH, required=True)] if present else []


def _headers(*, versioned: bool) -> list[OpenApiParameter]:
    def header(name: str, text: str) -> OpenApiParameter:
        return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)

    found = [
        header("Idempotency-Key", "The same key and body get the same answer, and act once."),
        header("Headwater-Reason", "Why; kept with the change."),
        header("Request-Id", "A UUID that the change carries; made here unless given."),
    ]
    if versioned:
        found.append(header("If-Match", "The version that the caller has seen, as its ETag."))
    return found


def _query(name: str, annotation: Any, text: str, schema: dict[str, Any] | None = None) -> OpenApiParameter:
    found = schema or TypeAdapter(annotation).json_schema()
    options = [option for option in found.get("anyOf", ()) if option.get("type") != "null"]
    return OpenApiParameter(name, options[0] if options else found, OpenApiParameter.QUERY, description=text)


def _service_of(model: type[BaseModel]) -> str:
    config = apps.get_containing_app_config(model.__module__)
    return config.label.title() if config is not None and config.label != "kernel" else ""


def _rename(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_rename(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    renamed = {key: _rename(value, names) for key, value in node.items()}
    reference = renamed.get("$ref")
    if isinstance(reference, str):
        start, _, name = reference.rpartition("/")
        renamed["$ref"] = f"{start}/{names.get(name, name)}"
    return renamed
