"""The mapping file: which target, which columns become which fields, and how their values are to be read.

TOML or YAML. Whatever contradicts itself, the target or the file is named at once, before a row is read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from transactional.importers.tabular import units
from transactional.importers.tabular.errors import MappingError
from transactional.importers.tabular.targets import (
    CHOICE,
    CURRENCY,
    DATE,
    NUMBER,
    PLAIN_TYPES,
    REFERENCE,
    FieldType,
    Target,
)
from transactional.kernel.problems import from_validation

MAX_MAPPING = 1_000_000
"""Bytes of a mapping file."""


class Rule(BaseModel):
    """How one field gets its value: from ``column`` (or ``columns``, joined), or the constant ``value``.

    In this order: cell → ``default`` where it is empty → ``part`` of it → ``values`` (replaced) → ``style`` (``login``
    makes jose.perez of José Pérez) → type, with ``format`` of dates, ``decimal`` sign and ``unit`` of numbers →
    ``round``. An id is found by ``lookup``: the target among whose rows the value names one, by its external key in
    ``source`` or by the field ``by``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    columns: tuple[str, ...] = ()
    separator: str = " "
    value: JsonValue = None
    default: str | None = None
    part: Literal["first word", "all but the first word", "last word", "all but the last word"] | None = None
    values: dict[str, str] = Field(default_factory=dict)
    style: Literal["lower", "upper", "login"] | None = None
    type: str | None = None
    format: str | None = None
    decimal: Literal[".", ","] = "."
    unit: str | None = None
    round: int | None = Field(default=None, ge=0, le=10)
    split: str | None = None
    lookup: str | None = None
    by: str | None = None
    source: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.column,) if self.column is not None else self.columns


class FileRule(BaseModel):
    """How the file is read; what is left out is found out. ``columns`` name those of a file without a header.

    ``null``: cells that mean nothing, beside the empty one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: str | None = None
    separator: str | None = Field(default=None, min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    columns: tuple[str, ...] = ()
    null: tuple[str, ...] = ()


class Mapped(BaseModel):
    """The document as it stands; ``Rules`` is what it means for its target."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    source: str = Field(min_length=1, max_length=200)
    key: tuple[str, ...] = Field(min_length=1)
    file: FileRule = FileRule()
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    repeats: Literal["refuse", "skip"] = "refuse"
    fields: dict[str, Any]
    lists: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("key", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("only", mode="before")
    @classmethod
    def _each_one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: wanted if isinstance(wanted, list) else [wanted] for name, wanted in value.items()}


class Rules:
    """A mapping that fits its target: a rule and a type for every field that is filled."""

    def __init__(self, name: str, mapped: Mapped, known: Mapping[str, Target]) -> None:
        self.name = name
        self.mapped = mapped
        faults: list[str] = []
        target = known.get(mapped.target)
        if target is None:
            raise MappingError(name, [f"There is no target {mapped.target!r}; known are {', '.join(sorted(known))}."])
        self.target = target
        self.fields = dict(_compiled(mapped.fields, target.field, target, faults))
        self.lists: dict[str, dict[str, tuple[Rule, FieldType]]] = {}
        for list_name, rules in mapped.lists.items():
            elements = target.lists.get(list_name)
            if elements is None:
                what = ", ".join(target.lists) or "none"
                faults.append(f"{target.name} has no list {list_name!r} (lists: {what}).")
                continue
            self.lists[list_name] = dict(_compiled(rules, elements.get, target, faults, f"lists.{list_name}."))
            missing = [n for n, kind in elements.items() if kind.required and n not in self.lists[list_name]]
            faults += [f"lists.{list_name} needs {field}." for field in missing]
        faults += [f"Field {field} is needed and not mapped." for field in target.required if field not in self.fields]
        faults += self._currency_faults()
        if faults:
            raise MappingError(name, faults)

    @property
    def columns(self) -> list[str]:
        """Every column that the mapping names, in its order, once."""
        rules = [rule for rule, _ in self.fields.values()]
        rules += [rule for fields in self.lists.values() for rule, _ in fields.values()]
        named = [*self.mapped.key, *self.mapped.only, *(column for rule in rules for column in rule.sources)]
        return list(dict.fromkeys(named))

    def own_reference(self, rule: Rule, kind: FieldType) -> bool:
        """Whether the field names another row of this very target, by its key in this very source."""
        target = rule.lookup or kind.reference
        return (
            target == self.target.name and rule.by is None and (rule.source or self.mapped.source) == self.mapped.source
        )

    def _currency_faults(self) -> Iterator[str]:
        """A unit that names a currency must agree with the field ``currency``."""
        stated, _ = self.fields.get("currency", (None, None))
        groups = [self.fields, *self.lists.values()]
        for field, (rule, _) in [item for group in groups for item in group.items()]:
            currency = _parsed(rule.unit)[1]
            if currency is None:
                continue
            if stated is None:
                yield f"{field} is in {currency}: say so with [fields.currency] value = {currency!r}."
            elif stated.value is not None and stated.value != currency:
                yield f"{field} is in {currency} and the field currency is {stated.value!r}: one of them is wrong."


def load(path: Path, known: Mapping[str, Target]) -> Rules:
    """The mapping in a ``.toml``, ``.yaml`` or ``.yml`` file. Raises MappingError with everything that is wrong."""
    try:
        if path.stat().st_size > MAX_MAPPING:
            raise MappingError(str(path), ["It is larger than a mapping can be."])
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise MappingError(str(path), [f"It cannot be read: {error}."]) from error
    return check(str(path), document, known)


def check(name: str, document: Any, known: Mapping[str, Target]) -> Rules:
    """As ``load``, of a document that was read already."""
    try:
        mapped = Mapped.model_validate(document)
    except ValidationError as error:
        raise MappingError(name, [f"{e.field}: {e.message}." for e in from_validation(error)]) from None
    return Rules(name, mapped, known)


def _compiled(
    given: Mapping[str, Any], type_of: Any, target: Target, faults: list[str], prefix: str = ""
) -> Iterator[tuple[str, tuple[Rule, FieldType]]]:
    for path, raw in _flat(given, type_of, target):
        kind = type_of(path)
        if kind is None:
            near = ", ".join(sorted(target.lists[prefix.split(".")[1]] if prefix else target.fields))
            faults.append(f"{target.name} has no field {prefix}{path} (fields: {near}).")
            continue
        try:
            rule = Rule.model_validate({"column": raw} if isinstance(raw, str) else raw)
        except ValidationError as error:
            faults += [f"{prefix}{path}.{e.field}: {e.message}.".replace("..", ".") for e in from_validation(error)]
            continue
        if rule.type is not None and path.startswith("custom.") and rule.type in PLAIN_TYPES:
            kind = FieldType(rule.type)
        found = list(_rule_faults(rule, kind))
        faults += [f"{prefix}{path}: {fault}" for fault in found]
        if not found:
            yield path, (rule, kind)


def _flat(given: Mapping[str, Any], type_of: Any, target: Target, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``{"billing_address": {"city": …}}`` as ``billing_address.city``, however deep TOML's tables were written."""
    for name, raw in given.items():
        path = f"{prefix}{name}"
        branch = path == "custom" and target.has_custom
        branch = branch or any(field.startswith(f"{path}.") for field in target.fields)
        if branch and isinstance(raw, dict) and type_of(path) is None:
            yield from _flat(raw, type_of, target, f"{path}.")
        else:
            yield path, raw


def _rule_faults(rule: Rule, kind: FieldType) -> Iterator[str]:
    said = [name for name in ("column", "columns", "value") if getattr(rule, name) not in (None, ())]
    if len(said) != 1:
        yield "say exactly one of column, columns and value."
    if rule.type is not None and rule.type not in PLAIN_TYPES:
        yield f"type {rule.type!r} is none of {', '.join(PLAIN_TYPES)}."
    elif rule.type is not None and rule.type != kind.kind:
        yield f"it is of type {kind.kind}, not {rule.type}."
    if rule.format is not None and kind.kind != DATE:
        yield "only a date has a format."
    if (rule.unit is not None or rule.round is not None) and kind.kind != NUMBER:
        yield "only a number has a unit or is rounded."
    if rule.unit is not None:
        yield from _unit_faults(rule.unit, kind)
    if rule.split is not None and not kind.many:
        yield "it holds one value: nothing is split."
    if kind.kind == REFERENCE and rule.value is None and not (rule.lookup or kind.reference):
        yield "say with lookup among which target's rows the id is found."
    if kind.kind != REFERENCE and (rule.lookup or rule.by or rule.source):
        yield "it is no id: nothing is looked up."
    if kind.kind == CHOICE and rule.value is not None and str(rule.value) not in kind.choices:
        yield f"{rule.value!r} is none of {', '.join(kind.choices)}."
    if kind.kind == CHOICE:
        wrong = sorted(set(rule.values.values()) - set(kind.choices))
        if wrong:
            yield f"values leads to {', '.join(wrong)}; known are {', '.join(kind.choices)}."
    if kind.kind == CURRENCY and isinstance(rule.value, str) and len(rule.value) != 3:
        yield f"{rule.value!r} is no currency of ISO 4217."


def _unit_faults(unit: str, kind: FieldType) -> Iterator[str]:
    try:
        units.parse(unit)
    except ValueError as error:
        yield f"{error}."
        return
    is_share = unit.casefold() in units.SHARES
    if is_share and not kind.share:
        yield f"{unit} is a unit of shares such as discounts, and this is an amount."
    if kind.share and not is_share:
        yield f"it is a share of one: {unit} is no unit of it (percent is)."


def _parsed(unit: str | None) -> tuple[object, str | None]:
    try:
        return units.parse(unit) if unit else (1, None)
    except ValueError:
        return 1, None
