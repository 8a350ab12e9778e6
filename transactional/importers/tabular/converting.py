"""From a cell to the value that a field takes, or the reason why it cannot and what to do about it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from transactional.importers import countries
from transactional.importers.tabular import units
from transactional.importers.tabular.errors import Unfit
from transactional.importers.tabular.mapping import Rule
from transactional.importers.tabular.targets import (
    CHOICE,
    COUNTRY,
    CURRENCY,
    DATE,
    FLAG,
    INTEGER,
    NUMBER,
    REFERENCE,
    TEXT,
    FieldType,
)

Cells = Mapping[str, Any]
"""One row: column → text as it stands, or the value that Parquet holds; None for nothing."""

Reader = Callable[[Cells], Any]
"""The value of a field in a row; None where there is none. Raises Unfit."""

_YES, _NO = frozenset({"true", "t", "yes", "y", "1", "x"}), frozenset({"false", "f", "no", "n", "0"})
_MAX_MAGNITUDE = 25
"""Digits of a number, and powers of ten: Python multiplies 28 digits exactly, and no field holds more than 19."""
_CURRENCY_SIGNS = str.maketrans("", "", "$€£¥₹\u00a0\u202f ")


def reader(rule: Rule, kind: FieldType) -> Reader:
    """What fills a field of type ``kind`` by ``rule``."""
    if rule.value is not None:
        constant = rule.value
        return lambda cells: constant
    convert = _converter(rule, kind)

    def read(cells: Cells) -> Any:
        found = [cells[name] for name in rule.sources if cells[name] is not None]
        value = found[0] if len(found) == 1 else rule.separator.join(map(plain, found)) if found else rule.default
        if value is None:
            return None
        if isinstance(value, str) and "\x00" in value:
            raise Unfit("it holds a NUL character, which no database stores.", "Take it out.")
        if kind.many:
            parts = [part.strip() for part in plain(value).split(rule.split or ",")]
            return [convert(_styled(rule, _replaced(rule, part))) for part in parts if part]
        if rule.part is not None:
            value = _part(plain(value), rule.part)
        return None if value is None else convert(_styled(rule, _replaced(rule, value)))

    return read


def plain(value: object) -> str:
    """A cell as text; a whole number that a spreadsheet made a fraction (10248.0) without its point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def _replaced(rule: Rule, value: Any) -> Any:
    return rule.values.get(plain(value), value) if rule.values else value


def _styled(rule: Rule, value: Any) -> Any:
    if rule.style is None:
        return value
    text = plain(value)
    if rule.style == "login":
        letters = unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode().casefold()
        return re.sub(r"[^a-z0-9]+", ".", letters).strip(".")
    return text.lower() if rule.style == "lower" else text.upper()


def _part(text: str, part: str) -> str | None:
    words = text.split()
    chosen = {
        "first word": words[:1],
        "all but the first word": words[1:],
        "last word": words[-1:],
        "all but the last word": words[:-1],
    }[part]
    return " ".join(chosen) or None


def _converter(rule: Rule, kind: FieldType) -> Callable[[Any], Any]:
    if kind.kind == NUMBER:
        return _number(rule)
    if kind.kind == DATE:
        return _date(rule)
    if kind.kind == CHOICE:
        return _choice(kind.choices)
    return {
        TEXT: plain,
        REFERENCE: plain,
        INTEGER: _integer(rule),
        FLAG: _flag,
        COUNTRY: _country,
        CURRENCY: _currency,
    }[kind.kind]


def _number(rule: Rule) -> Callable[[Any], str]:
    factor = units.parse(rule.unit)[0] if rule.unit else Decimal(1)
    quantum = None if rule.round is None else Decimal(1).scaleb(-rule.round)

    def convert(value: Any) -> str:
        if isinstance(value, str) and value.rstrip().endswith("%"):  # says its unit itself
            number = _decimal(value.rstrip().removesuffix("%"), rule.decimal) / 100
        else:
            number = _decimal(value, rule.decimal) * factor
        return format(number if quantum is None else number.quantize(quantum), "f")

    return convert


def _decimal(value: Any, decimal: str) -> Decimal:
    """``1,234.5``, ``1.234,5`` (``decimal`` says which), ``(12.50)`` as a negative one, with a currency sign."""
    if isinstance(value, bool):
        raise Unfit("it is true or false, no number.")
    if isinstance(value, (int, float, Decimal)):
        found = Decimal(repr(value) if isinstance(value, float) else value)
    else:
        text = plain(value).strip().translate(_CURRENCY_SIGNS)
        negative = text.startswith("(") and text.endswith(")")
        text = text.strip("()") if negative else text
        found = _grouped(text.replace("'", ""), decimal)
        found = -found if negative else found
    if not found.is_finite():
        raise Unfit("it is no finite number.", "Leave the cell empty if nothing is known.")
    if found.adjusted() > _MAX_MAGNITUDE or len(found.as_tuple().digits) > _MAX_MAGNITUDE:
        raise Unfit("it has more digits than any field holds.", "Mend it, or round it in the file.")
    return found


def _grouped(text: str, decimal: str) -> Decimal:
    """Thousands may be grouped by the other sign, in threes: 1,23 is refused where the point separates decimals."""
    other = "," if decimal == "." else "."
    whole, _, fraction = text.partition(decimal)
    groups = whole.lstrip("+-").split(other)
    if any(len(group) != 3 for group in groups[1:]) or other in fraction:
        raise Unfit(
            f"it is no number with {decimal!r} before its decimals.",
            f'Say decimal = "{other}" if that is how it is written.',
        )
    try:
        return Decimal(whole.replace(other, "") + (f".{fraction}" if fraction else ""))
    except InvalidOperation:
        raise Unfit("it is no number.", "Mend it, or name what it means with values.") from None


def _integer(rule: Rule) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        number = _decimal(value, rule.decimal)
        if number != number.to_integral_value():
            raise Unfit("it is no whole number.")
        return int(number)

    return convert


def _date(rule: Rule) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if isinstance(value, datetime):
            return value.date().isoformat()
        if isinstance(value, date):
            return value.isoformat()
        text = plain(value).strip()
        try:
            if rule.format is not None:
                return datetime.strptime(text, rule.format).date().isoformat()
            return datetime.fromisoformat(text).date().isoformat()
        except ValueError:
            wanted = f"like {rule.format}" if rule.format else "like 2026-03-31"
            raise Unfit(f"it is no date {wanted}.", 'Say format = "%d.%m.%Y" (or how it is written).') from None

    return convert


def _choice(choices: tuple[str, ...]) -> Callable[[Any], str]:
    by_name = {choice.casefold(): choice for choice in choices}

    def convert(value: Any) -> str:
        found = by_name.get(plain(value).strip().casefold())
        if found is None:
            example = f"{plain(value)!r} = {choices[0]!r}".replace("'", '"')
            raise Unfit(f"it is none of {', '.join(choices)}.", f"Say what it means: values = {{ {example} }}.")
        return found

    return convert


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = plain(value).strip().casefold()
    if text not in _YES | _NO:
        raise Unfit("it is neither yes nor no.")
    return text in _YES


def _country(value: Any) -> str:
    text = plain(value)
    code = countries.code_of(text)
    if code is None:
        near = countries.closest(text)
        meant = f'{near[0]} is meant: values = {{ "{text}" = "{near[1]}" }}.' if near else "Use its ISO 3166-1 code."
        raise Unfit("it is no country.", f"Perhaps {meant}" if near else meant)
    return code


def _currency(value: Any) -> str:
    text = plain(value).strip().upper()
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise Unfit("it is no currency of ISO 4217.", "Use its code of three letters, such as EUR.")
    return text


def near(value: str, known: list[str]) -> str:
    """A sentence that names the most similar of ``known``, or nothing."""
    found = get_close_matches(value, known, n=1, cutoff=0.75)
    return f'Perhaps {found[0]!r} is meant: values = {{ "{value}" = "{found[0]}" }}.' if found else ""
