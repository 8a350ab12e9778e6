"""The registry: every command and resource under its dotted name. The API, OpenAPI, sagas and imports read it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from django.apps import apps
from django.db import models
from pydantic import BaseModel, ConfigDict, field_validator

from transactional.contracts.base import Command
from transactional.kernel.base import Versioned

CommandT = TypeVar("CommandT", bound=Command)
ResourceT = TypeVar("ResourceT", bound="Resource")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class RegistryError(Exception):
    """A declaration contradicts another one or names something unknown; raised when the service starts."""


class Resource(BaseModel):
    """What callers see of a row. Fields are read from the model's attributes; related managers become lists."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _related(cls, value: Any) -> Any:
        return list(value.all()) if isinstance(value, models.Manager) else value


@dataclass(frozen=True)
class ResourceSpec:
    """A resource: ``name`` is ``<service>.<table>``, ``path`` its plural in URLs."""

    name: str
    service: str
    model: type[Versioned]
    view: type[Resource]
    path: str
    filters: tuple[str, ...]
    prefetch: tuple[str, ...]
    personal: bool

    @property
    def table(self) -> str:
        return self.name.partition(".")[2]

    @property
    def permission(self) -> str:
        return f"{self.name}.read"

    def serialise(self, row: models.Model) -> bytes:
        """The row as JSON."""
        return self.view.model_validate(row).model_dump_json().encode()


@dataclass(frozen=True)
class CommandSpec:
    """A command: its input, function and place in the API. ``verb`` is None for the creation of a resource."""

    name: str
    service: str
    input: type[Command]
    function: Callable[..., Any]
    permission: str
    resource: str
    target: str | None
    verb: str | None
    available: Callable[[Any], bool] | None
    is_bulk: bool
    result: type[Any] | None

    @property
    def title(self) -> str:
        return (self.verb or f"create {self.resource.partition('.')[2]}").replace("_", " ").capitalize()

    @property
    def path(self) -> str:
        """Below ``/api/<service>/``; ``{id}`` stands for the target."""
        segments = [resource_named(self.resource).path]
        if self.target is not None:
            segments.append("{id}")
        if self.is_bulk:
            segments.append("bulk")
        elif self.verb is not None:
            segments.append(self.verb.replace("_", "-"))
        return "/".join(segments)


_commands: dict[str, CommandSpec] = {}
_resources: dict[str, ResourceSpec] = {}
_by_model: dict[type[models.Model], ResourceSpec] = {}


def resource(
    model: type[Versioned],
    *,
    path: str,
    filters: Iterable[str] = (),
    prefetch: Iterable[str] = (),
    personal: bool = False,
) -> Callable[[type[ResourceT]], type[ResourceT]]:
    """Declares how rows of ``model`` are read. ``personal``: reading one is written to the access log."""

    def declare(view: type[ResourceT]) -> type[ResourceT]:
        unknown = set(filters) - set(view.model_fields)
        if unknown:
            raise RegistryError(f"{view.__name__}: filters {sorted(unknown)} are not fields of the resource.")
        name = model.object_type()
        if name in _resources:
            raise RegistryError(f"Resource {name} is declared twice.")
        spec = ResourceSpec(name, model._meta.app_label, model, view, path, tuple(filters), tuple(prefetch), personal)
        _resources[name] = _by_model[model] = spec
        return view

    return declare


def command(
    input: type[Command],
    *,
    resource: str,
    target: str | None = None,
    verb: str | None = None,
    permission: str | None = None,
    available: Callable[[Any], bool] | None = None,
) -> Callable[[FunctionT], FunctionT]:
    """Registers ``function(ctx, cmd) -> row`` as a command of its service.

    ``target`` names the input's field that holds the id of the row acted upon. ``available`` says of a row whether the
    command makes sense for it, beside the lifecycle.
    """

    def declare(function: FunctionT) -> FunctionT:
        service, name = _dotted(function)
        if target is not None:
            if target not in input.model_fields:
                raise RegistryError(f"{name}: target {target!r} is not a field of {input.__name__}.")
            input.target_field = target
        creates = target is None and function.__name__.startswith("create_")
        _add(
            CommandSpec(
                name=name,
                service=service,
                input=input,
                function=function,
                permission=permission or name,
                resource=resource,
                target=target,
                verb=None if creates and verb is None else verb or _verb(function, resource),
                available=available,
                is_bulk=False,
                result=get_type_hints(function).get("return"),
            )
        )
        return function

    return declare


def bulk(input: type[Command], *, resource: str, permission: str | None = None) -> Callable[[FunctionT], FunctionT]:
    """Registers ``function(ctx, rows)`` as the bulk form of creating a resource, one ``input`` a row.

    Permission: the single command's with the same input, unless given.
    """

    def declare(function: FunctionT) -> FunctionT:
        service, name = _dotted(function)
        single = next((spec for spec in _commands.values() if spec.input is input), None)
        _add(
            CommandSpec(
                name=name,
                service=service,
                input=input,
                function=function,
                permission=permission or (single.permission if single else name),
                resource=resource,
                target=None,
                verb=None,
                available=None,
                is_bulk=True,
                result=None,
            )
        )
        return function

    return declare


def command_named(name: str) -> CommandSpec:
    """Raises RegistryError for a name that no hosted service declares."""
    try:
        return _commands[name]
    except KeyError:
        raise RegistryError(f"No hosted service declares command {name!r}.") from None


def resource_named(name: str) -> ResourceSpec:
    try:
        return _resources[name]
    except KeyError:
        raise RegistryError(f"No hosted service declares resource {name!r}.") from None


def resource_of(model: type[models.Model]) -> ResourceSpec:
    try:
        return _by_model[model]
    except KeyError:
        raise RegistryError(f"{model.__name__} has no resource: declare one with @resource.") from None


def commands(service: str | None = None) -> list[CommandSpec]:
    return [spec for spec in _commands.values() if service in (None, spec.service)]


def resources(service: str | None = None) -> list[ResourceSpec]:
    return [spec for spec in _resources.values() if service in (None, spec.service)]


def _add(spec: CommandSpec) -> None:
    if spec.name in _commands:
        raise RegistryError(f"Command {spec.name} is declared twice.")
    _commands[spec.name] = spec


def _dotted(function: Callable[..., Any]) -> tuple[str, str]:
    module = inspect.getmodule(function)
    config = apps.get_containing_app_config(function.__module__)
    if config is None or module is None:
        raise RegistryError(f"{function.__module__}.{function.__name__} stands outside of every hosted service.")
    return config.label, f"{config.label}.{function.__name__}"


def _verb(function: Callable[..., Any], resource: str) -> str:
    return function.__name__.removesuffix(f"_{resource.partition('.')[2]}")
