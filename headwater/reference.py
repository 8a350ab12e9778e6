"""Pages of the reference that are written from what the code declares: commands, events, roles, variables."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

from headwater.config import SERVICES
from headwater.variables import VARIABLES
from policy.decide import may
from policy.roles import ALL, ROLES


def pages() -> dict[str, str]:
    """Markdown by file name. Django's apps must be loaded: the registries fill as services are."""
    return {
        "commands.md": commands(),
        "events.md": events(),
        "roles.md": roles(),
        "variables.md": variables(),
    }


def commands() -> str:
    from transactional.kernel.registry import commands as declared

    parts = [
        "# Commands",
        "",
        "The only way to change anything. Each is a `POST` below `/api/<service>/`; pages, importers and other "
        "services use the same ones. Fields marked * must be given. [Writing a service](../kernel.md) says how "
        "headers, idempotency and versions work.",
    ]
    for service in SERVICES:
        parts += ["", f"## {service}"]
        for spec in sorted(declared(service), key=lambda spec: (spec.path, spec.name)):
            parts += ["", f"### {spec.name}", "", f"`POST /api/{service}/{spec.path}`", ""]
            if spec.is_bulk:
                parts.append(f"Up to 5,000 rows of the same command at once. Permission `{spec.permission}`.")
                continue
            parts += [_sentence(spec.input), "", f"Permission `{spec.permission}`.", ""]
            fields = [(n, f) for n, f in spec.input.model_fields.items() if n != spec.target]
            if fields:
                parts += _table(
                    ("field", "type"), [(f"`{n}`{'*' if f.is_required() else ''}", _type(f)) for n, f in fields]
                )
    return _page(parts)


def events() -> str:
    from transactional.contracts import events as module
    from transactional.contracts.base import Event
    from transactional.kernel.inbox import subscriptions

    wanted = {service: set(subscriptions(service)) for service in SERVICES}
    parts = [
        "# Events",
        "",
        "What services tell each other, through outbox and inbox: at least once on the way, applied exactly once.",
    ]
    declared = [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Event) and found is not Event and "type" in vars(found)
    ]
    for event in sorted(declared, key=lambda event: (event.aggregate, event.type)):
        readers = [service for service, types in wanted.items() if event.type in types]
        parts += ["", f"## {event.type}", "", _sentence(event), ""]
        parts.append(
            f"Of `{event.aggregate}`, version {event.schema_version} of its shape. "
            f"Read by: {', '.join(readers) if readers else 'nobody yet'}."
        )
        parts += ["", *_table(("field", "type"), [(f"`{n}`", _type(f)) for n, f in event.model_fields.items()])]
    return _page(parts)


def roles() -> str:
    from transactional.kernel.registry import commands as declared
    from transactional.kernel.registry import resources

    names = [name for name in ROLES if name != "service"]
    permissions = {f"{spec.name}.read" for spec in resources()} | {spec.permission for spec in declared()}
    parts = [
        "# Roles and permissions",
        "",
        "Which role may do what, and which rows that reaches. Roles add up; each permission reaches the rows of the "
        "roles that grant it. `admin` may do everything.",
        "",
        "## Rows",
        "",
        *_table(
            ("role", "rows"),
            [(name, "every row" if ROLES[name].rows == ALL else ", ".join(sorted(ROLES[name].rows))) for name in names],
        ),
    ]
    for service in SERVICES:
        parts += ["", f"## {service}", ""]
        rows = [
            (f"`{p}`", *("●" if may(frozenset({name}), p) else "" for name in names))
            for p in sorted(permissions)
            if p.startswith(f"{service}.")
        ]
        parts += _table(("permission", *names), rows)
    return _page(parts)


def variables() -> str:
    parts = [
        "# Environment variables",
        "",
        "Everything that can be set from outside. What is not set here stands in `config.json` of the home, which "
        "Headwater writes itself.",
        "",
        *_table(
            ("variable", "meaning", "default"),
            [(f"`{v.name}{'…' if v.name.endswith('_') else ''}`", v.meaning, v.default) for v in VARIABLES],
        ),
    ]
    return _page(parts)


def _sentence(declared: type[Any]) -> str:
    return inspect.cleandoc(declared.__doc__ or "")


def _type(field: Any) -> str:
    """The annotation in words that a reader of JSON understands."""
    text = str(field.annotation) if get_args(field.annotation) else getattr(field.annotation, "__name__", "")
    for long, short in (
        ("typing.", ""), ("uuid.UUID", "UUID"), ("datetime.", ""), ("decimal.Decimal", "Decimal"),
        ("transactional.contracts.types.", ""), ("transactional.contracts.events.", ""), ("NoneType", "null"),
        ("<class '", ""), ("'>", ""),
    ):  # fmt: skip
        text = text.replace(long, short)
    if text.startswith("Annotated["):
        text = text.removeprefix("Annotated[").partition(",")[0]
    return f"`{text.replace('|', 'or').replace('None', 'null')}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _page(parts: list[str]) -> str:
    return "\n".join(parts) + "\n"
