"""PostgreSQL's text formats, built many values at a time: array literals, COPY lines, JSON images, timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from cdc.events import Unchanged, Value

# Neither can occur in a text value: PostgreSQL has no NUL, and UTF-8 no lone surrogate. So a whole column is joined
# and escaped at once, which takes a quarter of the time of escaping value by value.
_BETWEEN: Final = chr(0)
_NULL: Final = chr(0xD800)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def array_literal(values: Sequence[str | None]) -> str:
    """``{"a",NULL,"b"}`` for one dimension of text values; at least one value."""
    try:
        joined = _BETWEEN.join(values)  # type: ignore[arg-type]
        nulls = False
    except TypeError:
        joined = _BETWEEN.join([_NULL if value is None else value for value in values])
        nulls = True
    if "\\" in joined:
        joined = joined.replace("\\", "\\\\")
    if '"' in joined:
        joined = joined.replace('"', '\\"')
    literal = '{"' + joined.replace(_BETWEEN, '","') + '"}'
    return literal.replace(f'"{_NULL}"', "NULL") if nulls else literal


def copy_text(value: str) -> bytes:
    """One value of COPY's text format."""
    escaped = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return escaped.encode()


def copy_image(names: Iterable[str], values: Iterable[Value]) -> bytes:
    """A JSON object of text forms as a value of COPY's text format; UNCHANGED columns are left out.

    JSON holds no raw tab or line break, so the backslash is all there is to escape.
    """
    image = dict(zip(names, values, strict=True))
    if Unchanged in map(type, image.values()):
        image = {name: value for name, value in image.items() if type(value) is not Unchanged}
    document = orjson.dumps(image)
    return document.replace(b"\\", b"\\\\") if b"\\" in document else document


def timestamp_text(microseconds: int) -> str:
    """Microseconds since the Unix epoch as timestamptz input, exact (a float would not be)."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(" ")
