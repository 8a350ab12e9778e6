"""Forms over commands: fields with labels and hints, what was typed read leniently, every refusal beside its field.

A form never decides what is valid: the command does. It turns text into the command's values, and the command's
problem details into words at the right place, and keeps what was typed all the while.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from transactional.kernel.problems import FieldError, Problem
from web import formats, typed

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Field:
    """One input. ``name`` is the command's field; dots reach into it (``billing_address.city``).

    ``kind``: text, email, tel, amount, whole, date, select, longtext, checkbox, hidden. ``options``: (value, label).
    ``wide`` takes the whole row of a two-column form; ``lookup`` is the kind of record that is offered while one types.
    """

    name: str
    label: str
    kind: str = "text"
    hint: str = ""
    required: bool = False
    options: Sequence[tuple[str, str]] = ()
    max_length: int | None = 200
    autocomplete: str = "off"
    suffix: str = ""
    wide: bool = False
    lookup: str = ""

    @property
    def id(self) -> str:
        return "f-" + self.name.replace(".", "-")

    def read(self, text: str) -> Any:
        """The command's value of what was typed; None for nothing. Raises ValueError with words for the person."""
        plain = text if self.kind == "longtext" else text.strip()
        if self.kind == "checkbox":
            return plain == "on"
        if plain.strip() == "":
            if self.required:
                raise ValueError(f"{'Choose' if self.kind == 'select' else 'Enter'} {_article(self.label)}.")
            return None
        if CONTROL.search(plain):
            raise ValueError("Remove the control characters; they may have come with a paste.")
        if self.kind == "amount":
            return str(typed.amount(plain))
        if self.kind == "whole":
            return typed.whole(plain)
        if self.kind == "date":
            return typed.day(plain, datetime.now(UTC).date()).isoformat()
        if self.kind == "select" and plain not in [value for value, _ in self.options]:
            raise ValueError("Choose one of the list.")
        if self.max_length is not None and len(plain) > self.max_length:
            raise ValueError(f"{self.label} can have {self.max_length} characters; this has {len(plain)}.")
        return plain

    def shown(self, value: Any) -> str:
        """The text that the input begins with."""
        if value is None:
            return ""
        if self.kind == "amount":
            return formats.number(Decimal(str(value))).replace(formats.MINUS, "-")
        if self.kind == "date":
            return value.isoformat() if isinstance(value, date) else str(value)
        if self.kind == "checkbox":
            return "on" if value else ""
        return str(value)


@dataclass
class Bound:
    """A field with what stands in it now and what is wrong with that."""

    field: Field
    text: str
    error: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.field, name)

    @property
    def described_by(self) -> str:
        """Ids of the hint and the error, for ``aria-describedby``."""
        ids = [f"{self.field.id}-hint"] if self.field.hint else []
        return " ".join([*ids, f"{self.field.id}-error"] if self.error else ids)


@dataclass
class Form:
    """``of`` begins with a record's values, ``sent`` with what somebody typed."""

    fields: list[Bound]
    general: list[str] = field(default_factory=list)
    typed: bool = False

    @classmethod
    def of(cls, fields: Iterable[Field], values: Mapping[str, Any] | None = None) -> Form:
        return cls([Bound(f, f.shown(_reach(values or {}, f.name))) for f in fields])

    @classmethod
    def sent(cls, fields: Iterable[Field], data: Mapping[str, str]) -> Form:
        return cls([Bound(f, str(data.get(f.name, ""))) for f in fields], typed=True)

    def __getitem__(self, name: str) -> Bound:
        for bound in self.fields:
            if bound.field.name == name:
                return bound
        raise KeyError(name)

    @property
    def wrong(self) -> list[Bound]:
        return [bound for bound in self.fields if bound.error]

    @property
    def valid(self) -> bool:
        return not self.wrong and not self.general

    def payload(self, *, empty: bool = False) -> dict[str, Any] | None:
        """The command's values, nested where names have dots; None where something cannot be read (``wrong`` says).

        Nothing typed is left out, or null with ``empty`` (which clears the field).
        """
        found: dict[str, Any] = {}
        for bound in self.fields:
            try:
                value = bound.field.read(bound.text)
            except ValueError as error:
                bound.error = str(error)
                continue
            _put(found, bound.field.name, value, keep_null=empty)
        return None if self.wrong else _without_hollow(found)

    def refuse(self, problem: Problem) -> None:
        """Puts what a command said beside the fields it is about; what is about none of them stands above the form."""
        placed = [fault for fault in problem.errors if self._place(fault)]
        if not placed or len(placed) < len(problem.errors):
            left = [fault for fault in problem.errors if fault not in placed]
            self.general += [words(fault) for fault in left] or [problem.detail]

    def _place(self, fault: FieldError) -> bool:
        for bound in self.fields:
            name = bound.field.name
            within = f"{fault.field}.".startswith(f"{name}.") or f"{name}.".startswith(f"{fault.field}.")
            if fault.field and within:
                bound.error = bound.error or words(fault, bound.field.label)
                return True
        return False


_WORDS = {
    "missing": "Enter {label}.",
    "string_too_short": "Enter {label}.",
    "string_too_long": "{Label} is too long.",
    "string_pattern_mismatch": "This does not look like {label}.",
    "literal_error": "Choose one of the list.",
    "decimal_max_digits": "{Label} has too many digits.",
    "decimal_max_places": "{Label} can have four decimal places.",
    "decimal_whole_digits": "{Label} has too many digits.",
    "greater_than_equal": "{Label} cannot be that small.",
    "greater_than": "{Label} must be more than that.",
    "less_than_equal": "{Label} cannot be that large.",
    "less_than": "{Label} must be less than that.",
}


def words(fault: FieldError, label: str = "") -> str:
    """A field error as a sentence: our own for what the parser of input finds, else the command's."""
    sentence = _WORDS.get(fault.code)
    if sentence is not None and label:
        return sentence.format(label=_article(label), Label=label)
    text = fault.message[:1].upper() + fault.message[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def _article(label: str) -> str:
    name = label[:1].lower() + label[1:] if not label[:2].isupper() else label
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _reach(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _put(target: dict[str, Any], name: str, value: Any, *, keep_null: bool) -> None:
    *path, last = name.split(".")
    for part in path:
        target = target.setdefault(part, {})
    if value is not None or keep_null:
        target[last] = value


def _without_hollow(found: dict[str, Any]) -> dict[str, Any]:
    """A nested value of which nothing was typed is null, not an object of nulls."""
    return {
        name: None if isinstance(value, dict) and all(part is None for part in value.values()) else value
        for name, value in found.items()
    }
