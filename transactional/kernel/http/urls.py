"""The addresses of a service, from its registry."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema

from transactional.kernel.http.schema import command_schema, one_schema, page_schema
from transactional.kernel.http.views import (
    CommandByName,
    Method,
    ResourceByName,
    ServiceView,
    command_method,
    one_method,
    page_method,
)
from transactional.kernel.registry import commands, resources


def service_urls(service: str) -> list[URLPattern]:
    """Everything the service's resources and commands answer to, below ``/api/<service>/``."""
    addresses: dict[str, dict[str, Method]] = {}
    for resource in resources(service):
        addresses.setdefault(resource.path, {})["get"] = page_schema(resource)(page_method(resource))
        addresses.setdefault(f"{resource.path}/{{id}}", {})["get"] = one_schema(resource)(one_method(resource))
    for command in commands(service):
        methods = addresses.setdefault(command.path, {})
        if "post" in methods:
            raise RuntimeError(f"Two commands of {service} answer to POST {command.path}: give one a verb.")
        methods["post"] = command_schema(command)(command_method(command))
    # A word is matched before an id: POST accounts/bulk is no account named bulk.
    patterns = [
        path(address.replace("{id}", "<str:id>"), _view(service, address, methods))
        for address, methods in sorted(addresses.items(), key=lambda item: "{id}" in item[0])
    ]
    by_name = extend_schema(exclude=True)
    return [
        *patterns,
        path("commands/<str:name>", by_name(CommandByName).as_view(service=service)),
        path("resources/<str:name>", by_name(ResourceByName).as_view(service=service)),
        path("resources/<str:name>/<str:id>", by_name(ResourceByName).as_view(service=service)),
    ]


def _view(service: str, address: str, methods: dict[str, Method]) -> Any:
    name = "".join(part.strip("{}").title() for part in f"{service}/{address}".replace("-", "/").split("/"))
    view: type[ServiceView] = type(f"{name}View", (ServiceView,), {"service": service, **methods})
    return view.as_view()
