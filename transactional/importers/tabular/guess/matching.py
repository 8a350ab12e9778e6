"""Which column fills which field of which target, and how sure that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from transactional.importers.tabular import targets as kinds
from transactional.importers.tabular import units
from transactional.importers.tabular.guess import words
from transactional.importers.tabular.guess.profile import EMAIL, PHONE, Profile
from transactional.importers.tabular.targets import FieldType, Target

_LEAST = 0.4
"""Below this a column is rather kept as a custom field."""
_ALIKE: dict[str, set[str]] = {
    kinds.TEXT: {kinds.TEXT, kinds.INTEGER, EMAIL, PHONE, kinds.COUNTRY},
    kinds.REFERENCE: {kinds.TEXT, kinds.INTEGER, kinds.COUNTRY},
    kinds.CHOICE: {kinds.TEXT},
    kinds.NUMBER: {kinds.NUMBER, kinds.INTEGER},
    kinds.INTEGER: {kinds.INTEGER},
    kinds.DATE: {kinds.DATE},
    kinds.COUNTRY: {kinds.COUNTRY},
    kinds.CURRENCY: {kinds.CURRENCY},
    kinds.FLAG: {kinds.FLAG},
}
_UNIT = re.compile(r"^(?P<name>.*?)[\s_]*[(\[_ ]\s*(?:in\s+)?(?P<unit>[A-Za-z% ]+?)\s*[)\]]?$")


@dataclass(frozen=True)
class Match:
    """``column`` fills ``field`` (of a list where ``list_name`` says so); ``sure`` between 0 and 1, judged ``by``."""

    field: str
    profile: Profile
    kind: FieldType
    sure: float
    by: str
    unit: str = ""
    list_name: str = ""


def plain_name(name: str) -> str:
    """``CompanyName``, ``company-name`` and ``Company name`` are all ``company_name``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9%]+", "_", split.casefold()).strip("_")


def unit_of(name: str) -> tuple[str, str]:
    """``revenue (million USD)`` → ("revenue", "million USD"); no unit is empty."""
    for pattern in (
        r"^(.*?)\s*[(\[](?:in\s+)?(.+?)[)\]]\s*$",
        r"^(.*?)[\s_]+(pct|percent|%|eur|usd|gbp|chf|cents?|musd|meur|keur|kusd)$",
    ):
        found = re.match(pattern, name, re.IGNORECASE)
        if found is None:
            continue
        said = found[2].strip()
        short = {
            "pct": "percent",
            "musd": "million USD",
            "meur": "million EUR",
            "kusd": "thousand USD",
            "keur": "thousand EUR",
        }
        said = short.get(said.casefold(), said.upper() if said.casefold() in {"eur", "usd", "gbp", "chf"} else said)
        said = re.sub(r"^(millions|thousands|billions)( of)?\b", lambda m: m[1][:-1], said, flags=re.IGNORECASE)
        try:
            units.parse(said)
        except ValueError:
            continue
        return found[1], said
    return name, ""


def matches(target: Target, profiles: list[Profile], path: Path) -> list[Match]:
    """The best field for each column; a field is filled once, by the column that is surest."""
    found: list[Match] = []
    known = words.FIELDS.get(target.name, {})
    for profile in profiles:
        for field, called in known.items():
            kind = target.field(field)
            if kind is not None:
                found += _match(field, called, kind, profile)
        for name, fields in words.LISTS.get(target.name, {}).items():
            for field, called in fields.items():
                found += _match(field, called, target.lists[name][field], profile, name)
    taken: set[str] = set()
    used: set[str] = set()
    best = []
    for match in sorted(found, key=lambda match: -match.sure):
        place = f"{match.list_name}.{match.field}"
        if place not in taken and match.profile.name not in used and match.sure >= _LEAST:
            taken.add(place)
            used.add(match.profile.name)
            best.append(match)
    return sorted(best, key=lambda match: match.profile.place)


def _match(field: str, called: str, kind: FieldType, profile: Profile, list_name: str = "") -> list[Match]:
    bare, unit = unit_of(profile.name)
    name = plain_name(bare)
    names = called.split()
    own = field.rpartition(".")[2]
    if name in (own, plain_name(field)):
        sure, by = 0.9, "the name is the field's own"
    elif name in names:
        sure, by = 0.85 - 0.02 * names.index(name), "the name means it"
    elif any(name.endswith(f"_{word}") or name.startswith(f"{word}_") for word in names if len(word) > 3):
        sure, by = 0.5, "a word of the name means it"
    else:
        return []
    if profile.filled and profile.kind not in _ALIKE[kind.kind]:
        sure, by = sure * 0.35, f"{by}, yet it holds {profile.kind}"
    elif profile.filled:
        telling = kind.kind not in (kinds.TEXT, kinds.REFERENCE)
        sure, by = min(0.98, sure + 0.1 * telling), f"{by}; it holds {profile.kind}"
    else:
        sure, by = sure * 0.6, f"{by}; it is empty"
    if kind.share and not unit and profile.largest > 1:
        unit, by = "percent", f"{by}; values up to {profile.largest:g} are percent"
    if unit and kind.kind == kinds.NUMBER:
        is_share = unit.casefold() in units.SHARES
        unit = unit if is_share == kind.share else ""
    return [Match(field, profile, kind, sure, by, unit if kind.kind == kinds.NUMBER else "", list_name)]


def score(target: Target, found: list[Match], profiles: list[Profile], path: Path) -> tuple[float, str]:
    """How well the target suits the file, and by what that was judged."""
    needed = [f".{field}" for field in target.required]
    needed += [
        f"{name}.{f}" for name, fields in target.lists.items() for f, k in fields.items() if k.required and found
    ]
    needed = [
        place
        for place in needed
        if place.startswith(".") or place.partition(".")[0] in words.LISTS.get(target.name, {})
    ]
    there = {f"{match.list_name}.{match.field}" for match in found}
    filled = sum(place in there for place in needed) / len(needed) if needed else 0.0
    covered = sum(match.sure for match in found) / max(1, len(profiles))
    stem = plain_name(path.name.split(".")[0])
    named = any(word in stem for word in words.FILES.get(target.name, "").split())
    total = 0.4 * filled + 0.4 * covered + 0.2 * named
    naming = next((m.profile for m in found if m.field in target.required and m.kind.kind == kinds.TEXT), None)
    if naming is not None and naming.filled and target.name not in words.LISTS:
        # What a row is about is named once; a name that comes again and again is what the rows belong to.
        total *= 0.2 + 0.8 * len(naming.distinct) / naming.filled
    by = f"{len(found)} of {len(profiles)} columns fit, {round(filled * len(needed))} of {len(needed)} needed fields"
    return total, by + (", and the file's name says so" if named else "")
