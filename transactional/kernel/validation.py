"""From bytes to a validated command, with a field error for everything that is wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from transactional.contracts.base import Command
from transactional.kernel.problems import FieldError, Invalid, Malformed, Rejected, from_validation

CommandT = TypeVar("CommandT", bound=Command)
MAX_DEPTH = 100
"""Levels of nesting in a request. PostgreSQL's own limit for jsonb is its stack; the parsers' are 200 and 1,024."""


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; no body is an empty object. Raises Malformed."""
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise Malformed("The body must be a JSON object.")
    return document


def dump(payload: object) -> bytes:
    """Canonical JSON: keys sorted; UUIDs, dates and decimals as strings."""
    return orjson.dumps(payload, default=_plain, option=orjson.OPT_SORT_KEYS)


def parse(input: type[CommandT], payload: Mapping[str, Any]) -> CommandT:
    """A validated command. Raises Rejected with every field that is wrong."""
    errors, cmd = inspect(input, payload)
    if cmd is None:
        raise Rejected("The command is not valid.", errors=errors)
    return cmd


def inspect(input: type[CommandT], payload: object, prefix: str = "") -> tuple[list[FieldError], CommandT | None]:
    """As ``parse``, but returns the errors, each field below ``prefix``."""
    try:
        body = dump(payload)
    except (TypeError, ValueError, RecursionError) as error:
        return [FieldError(prefix, "not_json", f"The value has no form in JSON: {error}")], None
    unstorable = (
        _unstorable(payload, prefix) if b"\\u0000" in body or body.count(b"[") + body.count(b"{") > MAX_DEPTH else None
    )
    if unstorable is not None:
        return [unstorable], None
    try:
        return [], input.model_validate_json(body)
    except ValidationError as error:
        return from_validation(error, prefix), None


def with_target(payload: Mapping[str, Any], field: str, value: str) -> dict[str, Any]:
    """The payload with its target from the path. A different target in the body is refused."""
    if field in payload and str(payload[field]) != value:
        raise Invalid(field, "differs_from_path", f"The path names {value}, the body {payload[field]}.")
    return {**payload, field: value}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} {value!r}")


def _unstorable(value: object, path: str, depth: int = 0) -> FieldError | None:
    """The first text with a NUL character (PostgreSQL stores none) or the first value nested too deeply."""
    if depth > MAX_DEPTH:
        return FieldError(path, "too_deep", f"nested more than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return FieldError(path, "nul_character", "must not contain the NUL character") if "\x00" in value else None
    children: Any = ()
    if isinstance(value, Mapping):
        if any("\x00" in str(name) for name in value):
            return FieldError(path, "nul_character", "a field's name must not contain the NUL character")
        children = value.items()
    elif isinstance(value, (list, tuple)):
        children = enumerate(value)
    for name, child in children:
        found = _unstorable(child, f"{path}.{name}" if path else str(name), depth + 1)
        if found is not None:
            return found
    return None
