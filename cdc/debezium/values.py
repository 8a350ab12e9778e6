"""From Debezium's representation of a value to PostgreSQL's text, chosen once per column.

Debezium runs with the settings of ``cdc.connectors``: decimals and intervals as strings, binary as hexadecimal, times
adaptive, unknown types included. A type that Debezium does not know comes as the hexadecimal of its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson

from cdc.debezium import geometry, numbers, times
from cdc.debezium.connect import SOURCE_TYPE, Field
from cdc.debezium.errors import EnvelopeError
from cdc.events import UNCHANGED, Value

Convert = Callable[[Any], str]

# As format_type writes them, and as pg_type and Debezium do.
_INTERNAL: Final = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "character varying": "varchar",
    "character": "bpchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "bit varying": "varbit",
    '"char"': "char",
}
_MODIFIER: Final = re.compile(r"\(\d+(,-?\d+)?\)")
_NEGATIVE_SCALE: Final = re.compile(r"numeric\(\d+,-\d+\)")
# Types that come as the string that PostgreSQL wrote.
_VERBATIM: Final = frozenset(
    [
        "text",
        "varchar",
        "bpchar",
        "char",
        "name",
        "citext",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "uuid",
        "json",
        "jsonb",
        "xml",
        "tsvector",
        "ltree",
        "isbn",
        "int4range",
        "int8range",
        "numrange",
        "tsrange",
        "tstzrange",
        "daterange",
    ]
)
_KNOWN: Final = _VERBATIM | frozenset(
    [
        "int2",
        "int4",
        "int8",
        "oid",
        "float4",
        "float8",
        "bool",
        "numeric",
        "money",
        "bytea",
        "bit",
        "varbit",
        "timestamp",
        "timestamptz",
        "date",
        "time",
        "timetz",
        "interval",
        "point",
        "hstore",
    ]
)
_BY_SEMANTIC: Final[dict[str, Convert]] = {
    "io.debezium.time.Date": times.date,
    "io.debezium.time.Timestamp": times.timestamp_of_milliseconds,
    "io.debezium.time.MicroTimestamp": times.timestamp,
    "io.debezium.time.ZonedTimestamp": times.zoned_timestamp,
    "io.debezium.time.Time": times.time_of_milliseconds,
    "io.debezium.time.MicroTime": times.time,
    "io.debezium.time.ZonedTime": times.zoned_time,
    "io.debezium.time.Interval": times.interval,
}
_ANOTHER_DIMENSION: Final = "[Ljava.lang."
"""How Java writes an array that nobody expected, followed by its class and address."""
_NEEDS_QUOTES: Final = re.compile(r'[\s"\\{}]')


def internal_name(type_name: str) -> str:
    """``timestamp(3) with time zone`` → ``timestamptz``; of an array, its element's name with ``[]``."""
    plain = _MODIFIER.sub("", type_name)
    element = plain.removesuffix("[]")
    return _INTERNAL.get(element, element) + plain[len(element) :]


def converter(field: Field, type_name: str, *, is_enum: bool = False, delimiter: str = ",") -> Convert | None:
    """What turns a value of ``field`` into PostgreSQL's text; None: it is that already.

    ``type_name`` is the column's, as ``format_type`` writes it, seen through domains. ``is_enum`` and ``delimiter`` are
    those of an array's element where it is an array.
    """
    if field.type == "array" and field.items is not None:
        element_type = type_name.removesuffix("[]")
        source = (field.parameter(SOURCE_TYPE) or "").lower()
        # The element's own name: Debezium looks through a domain, but not through the domain of an array's element.
        own = source.removeprefix("_") if source.startswith("_") else internal_name(element_type)
        known = is_enum or own in _KNOWN
        element = _scalar(field.items, element_type) if known else _from_hex
        return partial(array_literal, element=element, delimiter=delimiter)
    return None if is_enum else _scalar(field, type_name)


def _scalar(field: Field, type_name: str) -> Convert | None:
    base = internal_name(type_name)
    if base not in _KNOWN and field.semantic is None and field.type == "string":
        return _from_hex
    semantic = _BY_SEMANTIC.get(field.semantic or "")
    if semantic is not None:
        return semantic
    if field.semantic == "io.debezium.data.Bits":
        return numbers.bits(int(field.parameter("length") or 0)) if base == "bit" else numbers.varying_bits
    if field.type == "struct":
        return partial(geometry.text, base)
    if field.type == "boolean":
        return _bit if base in ("bit", "varbit") else _boolean
    if field.type.startswith("int"):
        return str
    if field.type == "float":
        return numbers.float4
    if field.type == "double":
        return numbers.float8
    if base == "numeric":
        return numbers.whole_numeric if _NEGATIVE_SCALE.fullmatch(type_name) else numbers.numeric
    if base == "money":
        return numbers.money
    if base == "bytea":
        return _bytea
    if base == "hstore":
        return hstore
    return None


def _from_hex(value: str) -> str:
    return bytes.fromhex(value).decode()


def _bytea(value: str) -> str:
    return "\\x" + value


def _boolean(value: bool) -> str:
    return "t" if value else "f"


def _bit(value: bool) -> str:
    return "1" if value else "0"


def hstore(value: str) -> str:
    """A JSON object of strings and nulls → ``"a"=>"1", "b"=>NULL``."""
    pairs = orjson.loads(value).items()
    return ", ".join(f"{_quoted(key)}=>{'NULL' if v is None else _quoted(v)}" for key, v in pairs)


def array_literal(values: list[Any], *, element: Convert | None, delimiter: str) -> str:
    """One dimension, as ``array_out`` writes it."""
    texts = []
    for value in values:
        if value is None:
            texts.append("NULL")
            continue
        text = value if element is None else element(value)
        if text.startswith(_ANOTHER_DIMENSION):
            raise EnvelopeError("Debezium does not carry arrays of more than one dimension")
        bare = text and text.upper() != "NULL" and delimiter not in text and not _NEEDS_QUOTES.search(text)
        texts.append(text if bare else _quoted(text))
    return "{" + delimiter.join(texts) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unavailable_forms(field: Field, placeholder: str) -> list[Any]:
    """How Debezium writes ``unavailable.value.placeholder`` in this field."""
    if field.type == "array" and field.items is not None:
        if field.items.type == "string":
            return [[placeholder], [placeholder.encode().hex()]]
        return [list(placeholder.encode())]
    if field.type == "string":
        return [placeholder, placeholder.encode().hex(), orjson.dumps({placeholder: placeholder}).decode()]
    return []


def guarded(convert: Convert | None, forms: list[Any]) -> Callable[[Any], Value]:
    """``convert``, with UNCHANGED for a value that the write-ahead log did not carry."""

    def guard(value: Any) -> Value:
        if value in forms:
            return UNCHANGED
        return value if convert is None else convert(value)

    return guard
