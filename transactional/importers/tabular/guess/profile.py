"""What a column holds, judged by its first rows: type, format, how full it is, whether it tells rows apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from transactional.importers import countries
from transactional.importers.tabular import targets as kinds
from transactional.importers.tabular.converting import plain, reader
from transactional.importers.tabular.errors import Unfit
from transactional.importers.tabular.mapping import Rule
from transactional.importers.tabular.records import Record
from transactional.importers.tabular.targets import FieldType

SAMPLE = 10_000
"""Rows that are judged by."""
_FITS = 0.98
"""Share of a column's values that must be of a type for the column to be of it: the rest will be refused by line."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_PHONE = re.compile(r"[+(]?\d[\d\s()./-]{5,}\d(?:\s*(?:x|ext\.?)\s*\d+)?")
_DATES = (
    None,
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%y",
)
EMAIL, PHONE = "email", "phone"


@dataclass
class Profile:
    """``rule`` is what the mapping must say of the type (``format``, ``decimal``); ``doubt`` what else it could be."""

    name: str
    place: int
    rows: int = 0
    filled: int = 0
    distinct: Counter[str] = field(default_factory=Counter)
    kind: str = kinds.TEXT
    share: float = 1.0
    rule: dict[str, Any] = field(default_factory=dict)
    doubt: str = ""
    largest: float = 0.0

    @property
    def unique(self) -> bool:
        return self.filled == self.rows > 0 and len(self.distinct) == self.filled

    @property
    def described(self) -> str:
        how = f" written {self.rule['format']}" if "format" in self.rule else ""
        how += " with a decimal comma" if self.rule.get("decimal") == "," else ""
        full = "" if self.filled == self.rows else f", {self.rows - self.filled:,} of {self.rows:,} empty"
        differ = "all different" if self.unique else f"{len(self.distinct):,} different"
        odd = "" if self.share == 1 else f", {1 - self.share:.1%} of another type"
        return f"{self.kind}{how}, {differ}{full}{odd}" + (f"; {self.doubt}" if self.doubt else "")


def profiles(columns: list[str], records: Iterable[Record]) -> list[Profile]:
    """A profile of each column, from at most SAMPLE rows."""
    made = [Profile(name, place) for place, name in enumerate(columns)]
    typed: list[set[type]] = [set() for _ in columns]
    for row, record in enumerate(records):
        if row >= SAMPLE:
            break
        if record.problem:
            continue
        for profile, types in zip(made, typed, strict=True):
            profile.rows += 1
            value = record.values[profile.place]
            text = "" if value is None else plain(value).strip()
            if text:
                types.add(type(value))
                profile.filled += 1
                profile.distinct[text] += 1
    for profile, types in zip(made, typed, strict=True):
        _judge(profile, types)
    return made


def _judge(profile: Profile, types: set[type]) -> None:
    if not profile.filled:
        return
    if types <= {date, datetime}:
        profile.kind = kinds.DATE
    elif types == {bool}:
        profile.kind = kinds.FLAG
    elif not _is_special(profile):
        _is_date(profile) or _is_number(profile)


def _is_special(profile: Profile) -> bool:
    for kind, test in (
        (EMAIL, lambda text: _EMAIL.fullmatch(text)),
        (kinds.FLAG, lambda text: text.casefold() in {"true", "false", "yes", "no", "y", "n"}),
        (kinds.CURRENCY, lambda text: text in _CURRENCIES),
        (kinds.COUNTRY, lambda text: len(text) > 1 and countries.code_of(text)),
    ):
        share = _share(profile, test)
        if share >= (0.9 if kind == kinds.COUNTRY else _FITS):
            profile.kind, profile.share = kind, share
            return True
    return False


def _is_date(profile: Profile) -> bool:
    best = max(_DATES, key=lambda form: _fitting(profile, kinds.DATE, {"format": form} if form else {}))
    share = _fitting(profile, kinds.DATE, {"format": best} if best else {})
    if share < _FITS or (best == "%Y%m%d" and not all(len(text) == 8 for text in profile.distinct)):
        return False
    if best is None and not all(re.match(r"\d{4}-\d{2}-\d{2}", text) for text in profile.distinct):
        return False
    profile.kind, profile.share = kinds.DATE, share
    if best:
        profile.rule["format"] = best
        other = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y"}.get(best)
        if other and _fitting(profile, kinds.DATE, {"format": other}) == share:
            profile.doubt = f"it could be {other} as well: no day in the sample is above 12"
    return True


def _is_number(profile: Profile) -> bool:
    if _share(profile, lambda text: len(text) > 1 and text.startswith("0") and text.isdigit()) > 0:
        return False  # leading zeros belong to codes
    if _fitting(profile, kinds.INTEGER, {}) >= _FITS and not _share(profile, lambda text: "," in text or "." in text):
        profile.kind, profile.share = kinds.INTEGER, _fitting(profile, kinds.INTEGER, {})
    else:
        best = max((".", ","), key=lambda sign: _fitting(profile, kinds.NUMBER, {"decimal": sign}))
        share = _fitting(profile, kinds.NUMBER, {"decimal": best})
        if share < _FITS:
            phone = _share(profile, _PHONE.fullmatch)
            if phone >= 0.9:
                profile.kind, profile.share = PHONE, phone
            return False
        profile.kind, profile.share = kinds.NUMBER, share
        if best == ",":
            profile.rule["decimal"] = ","
    convert = reader(Rule(column="x", **profile.rule), FieldType(kinds.NUMBER))
    numbers = []
    for text in profile.distinct:
        try:
            numbers.append(float(convert({"x": text})))
        except Unfit:
            continue
    profile.largest = max(numbers, default=0.0)
    return True


def _fitting(profile: Profile, kind: str, options: dict[str, Any]) -> float:
    convert = reader(Rule(column="x", **options), FieldType(kind))

    def fits(text: str) -> bool:
        try:
            convert({"x": text})
        except Unfit:
            return False
        return True

    return _share(profile, fits)


def _share(profile: Profile, test: Callable[[str], Any]) -> float:
    """Of the filled cells; at most a thousand different values are looked at."""
    looked = profile.distinct.most_common(1_000)
    return sum(count for text, count in looked if test(text)) / sum(count for _, count in looked)


_CURRENCIES = frozenset(
    [
        "AED",
        "ARS",
        "AUD",
        "BGN",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CZK",
        "DKK",
        "EGP",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "ISK",
        "JPY",
        "KES",
        "KRW",
        "MAD",
        "MXN",
        "MYR",
        "NGN",
        "NOK",
        "NZD",
        "PEN",
        "PHP",
        "PKR",
        "PLN",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "TWD",
        "UAH",
        "USD",
        "VND",
        "ZAR",
    ]
)
