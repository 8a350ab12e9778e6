"""A mapping proposed for a file that nobody has described: judged by header, name and first rows, doubts included."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from transactional.importers.tabular.errors import FileError, MappingError
from transactional.importers.tabular.guess.matching import Match, matches, plain_name, score
from transactional.importers.tabular.guess.profile import SAMPLE, Profile, profiles
from transactional.importers.tabular.records import (
    CsvTable,
    Dialect,
    ParquetTable,
    Table,
    encoding_of,
    is_parquet,
    separator_of,
)
from transactional.importers.tabular.targets import (
    CHOICE,
    DATE,
    FLAG,
    INTEGER,
    NUMBER,
    FieldType,
    Target,
)

_KEPT_TYPES = (INTEGER, NUMBER, DATE, FLAG)
_SHOWN_VALUES = 12


@dataclass
class Guess:
    """``toml`` is the proposal, ``lines`` what it was judged by, for people."""

    file: str
    target: Target
    source: str
    encoding: str | None
    separator: str | None
    rows: int
    key: list[Profile]
    found: list[Match]
    rest: list[Profile]
    ranking: list[tuple[str, float, str]]

    def lines(self) -> list[str]:
        told = [f"Judged by the header and the first {self.rows:,} rows of {self.file}."]
        if self.encoding:
            told.append(f"  read as {self.encoding}, separated by {json.dumps(self.separator)}")
        told.append("Target:")
        told += [f"  {name:<20} {share:4.0%}  {by}" for name, share, by in self.ranking[:3]]
        names = ", ".join(profile.name for profile in self.key)
        repeats = any(not profile.unique for profile in self.key)
        meant = " (it repeats: rows with the same one are one record)" if repeats else " (all different, none empty)"
        told.append(f"Key: {names}{meant}" if self.key else "Key: none found")
        told.append("Columns:")
        for match in self.found:
            place = f"lists.{match.list_name}.{match.field}" if match.list_name else match.field
            unit = f", in {match.unit}" if match.unit else ""
            why = f"{match.by}{unit}; {match.profile.described}"
            told.append(f"  {match.profile.name:<20} → {place:<26} {match.sure:4.0%}  {why}")
        told += [
            f"  {profile.name:<20} → custom.{plain_name(profile.name):<19}       nothing suits; {profile.described}"
            for profile in self.rest
        ]
        return told

    def toml(self) -> str:
        """The mapping file. What is missing stands in it as a comment that says what to decide."""
        lines = [f"target = {_text(self.target.name)}", f"source = {_text(self.source)}"]
        if self.key:
            names = [profile.name for profile in self.key]
            lines.append(f"key = {_text(names[0]) if len(names) == 1 else json.dumps(names, ensure_ascii=False)}")
        else:
            lines.append("# No column tells the rows apart: name those that do together.")
            lines.append('# key = ["…", "…"]')
        if self.encoding and self.encoding not in ("utf-8", "utf-8-sig", "utf-16"):
            lines += ["", "[file]", f"encoding = {_text(self.encoding)}"]
        for match in self.found:
            lines += ["", *_field(match)]
        lines += self._missing()
        if self.rest:
            lines += ["", "# Nothing suits these columns; they are kept as custom fields. Delete what you do not want."]
        for profile in self.rest:
            lines += [f"[fields.custom.{_bare(plain_name(profile.name))}]", f"column = {_text(profile.name)}"]
            if profile.kind in _KEPT_TYPES:
                lines += [f'type = "{profile.kind}"', *_options(profile, FieldType(profile.kind))]
        return "\n".join(lines) + "\n"

    def _missing(self) -> list[str]:
        """Needed fields that no column fills, and the currency of amounts that no column names."""
        there = {match.field for match in self.found if not match.list_name}
        lines: list[str] = []
        needed = [field for field in self.target.required if field not in there]
        currency = next((match.unit.split()[-1] for match in self.found if re.search(r"\b[A-Z]{3}$", match.unit)), None)
        if currency and "currency" in self.target.fields and "currency" not in there:
            lines += ["", "[fields.currency]", f'value = "{currency}"  # as the unit says']
            needed = [field for field in needed if field != "currency"]
        for field in needed:
            kind = self.target.fields[field]
            wanted = " | ".join(kind.choices) or kind.kind
            lines += [
                "",
                f"# Needed, and no column was found for it ({wanted}):",
                f"# [fields.{field}]",
                '# value = "…"',
            ]
        lists = {match.list_name for match in self.found if match.list_name}
        for name in lists:
            inside = {match.field for match in self.found if match.list_name == name}
            for field, kind in self.target.lists[name].items():
                if kind.required and field not in inside:
                    if field == "quantity":
                        lines += [
                            "",
                            "# No column says how many: one is assumed.",
                            f"[lists.{name}.{field}]",
                            'value = "1"',
                        ]
                    else:
                        lines += ["", f"# Needed ({kind.kind}):", f"# [lists.{name}.{field}]", '# column = "…"']
        return lines


def guess(path: Path, known: dict[str, Target], *, target: str | None = None, source: str | None = None) -> Guess:
    """Raises FileError for a file that cannot be read, MappingError for a target that does not exist."""
    if target is not None and target not in known:
        raise MappingError("--target", [f"There is no target {target!r}; known are {', '.join(sorted(known))}."])
    table, encoding, separator = _table(path)
    columns = profiles(table.columns, table)
    if not columns or not columns[0].rows:
        raise FileError(f"{path.name} has no rows to judge by.")
    ranked = []
    for candidate in known.values():
        found = matches(candidate, columns, path)
        share, by = score(candidate, found, columns, path)
        ranked.append((share, candidate, found, by))
    ranked.sort(key=lambda entry: (-(entry[1].name == target), -entry[0]))
    _, chosen, found, _ = ranked[0]
    key = _key(columns, found, chosen)
    found = _with_sku(found, chosen, key)
    used = {match.profile.name for match in found}
    rest = [profile for profile in columns if profile.name not in used and profile not in key]
    return Guess(
        file=path.name,
        target=chosen,
        source=source or plain_name(path.resolve().parent.name) or "file",
        encoding=encoding,
        separator=separator,
        rows=min(SAMPLE, columns[0].rows),
        key=key,
        found=found,
        rest=rest,
        ranking=[(candidate.name, share, by) for share, candidate, _, by in ranked],
    )


def _table(path: Path) -> tuple[Table, str | None, str | None]:
    if is_parquet(path):
        return ParquetTable(path), None, None
    encoding = encoding_of(path)
    separator = separator_of(path, encoding)
    return CsvTable(path, Dialect(encoding, separator)), encoding, separator


def _key(columns: list[Profile], found: list[Match], target: Target) -> list[Profile]:
    """An identifier that is always there and always another; of lines of orders, the order's number may repeat."""
    fields = {match.profile.name: match.field for match in found if not match.list_name}

    def worth(profile: Profile) -> tuple[bool, bool, int]:
        name = plain_name(profile.name)
        known = fields.get(profile.name) in ("order_number", "sku", "username", "name", "email")
        return (name.endswith(("id", "number", "no", "code", "key")), known, -profile.place)

    order = next((match.profile for match in found if match.field == "order_number"), None)
    if order is not None and order.filled == order.rows and any(match.list_name for match in found):
        return [order]
    unique = [profile for profile in columns if profile.unique and profile.kind not in (NUMBER, DATE)]
    return [max(unique, key=worth)] if unique else []


def _with_sku(found: list[Match], target: Target, key: list[Profile]) -> list[Match]:
    """Products without a number of their own are told apart by what their key is."""
    if target.name != "products" or not key or any(match.field == "sku" for match in found):
        return found
    sku = Match("sku", key[0], target.fields["sku"], 0.4, "no column holds a number, and this tells products apart")
    return [sku, *found]


def _field(match: Match) -> list[str]:
    head = f"[lists.{match.list_name}.{match.field}]" if match.list_name else f"[fields.{match.field}]"
    lines = [head, f"column = {_text(match.profile.name)}", *_options(match.profile, match.kind)]
    if match.unit:
        lines.append(f"unit = {_text(match.unit)}")
    elif match.kind.kind == NUMBER and not match.kind.share:
        lines.append("# unit: the header names none; say one if these are thousands, millions, cents …")
    if match.kind.kind == CHOICE:
        choices = {choice.casefold(): choice for choice in match.kind.choices}
        unknown = [value for value in match.profile.distinct if value.casefold() not in choices][:_SHOWN_VALUES]
        if unknown:
            pairs = ", ".join(f'{_text(value)} = "…"' for value in unknown)
            lines += [f"# Say what each value means ({', '.join(match.kind.choices)}):", f"# values = {{ {pairs} }}"]
    return lines


def _options(profile: Profile, kind: FieldType) -> list[str]:
    lines = []
    if kind.kind == DATE and "format" in profile.rule:
        doubt = f"  # {profile.doubt}" if profile.doubt else ""
        lines.append(f"format = {_text(profile.rule['format'])}{doubt}")
    if kind.kind in (NUMBER, INTEGER) and "decimal" in profile.rule:
        lines.append(f"decimal = {_text(profile.rule['decimal'])}")
    return lines


def _text(value: str | None) -> str:
    """A basic string of TOML, which JSON's is too but for DEL."""
    return json.dumps(value or "", ensure_ascii=False).replace("\x7f", "\\u007f")


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
