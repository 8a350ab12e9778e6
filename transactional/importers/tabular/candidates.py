"""From rows of a file to what is sent: one candidate per record, with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from transactional.importers.tabular.converting import Cells, Reader, plain, reader
from transactional.importers.tabular.errors import FileError, Problem, Unfit
from transactional.importers.tabular.mapping import Rule, Rules
from transactional.importers.tabular.records import Record
from transactional.importers.tabular.targets import REFERENCE, FieldType

MAX_GROUP = 10_000
"""Rows in a row of one key; a command takes fewer, but the refusal names them all."""


@dataclass(slots=True)
class Reference:
    """The ids that stand at ``path`` of the data are those of the rows that ``names`` name."""

    path: tuple[str | int, ...]
    names: list[str]
    many: bool
    rule: Rule
    kind: FieldType
    own: bool
    line: int


@dataclass(slots=True)
class Candidate:
    """A record to be: ``data`` without its references, which are still names."""

    line: int
    key: str
    data: dict[str, Any]
    rows: list[Record]
    references: list[Reference] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def parent(self) -> Reference | None:
        """The row of this same file that must stand first."""
        return next((reference for reference in self.references if reference.own), None)


class Reading:
    """The rules, ready to read rows of a file with these ``columns``."""

    def __init__(self, rules: Rules, columns: list[str]) -> None:
        self.rules = rules
        self.left_out = 0
        wanted = {name: columns.index(name) for name in rules.columns}
        self._places = list(wanted.items())
        self._null = {"", *rules.mapped.file.null}
        self._only = {name: frozenset(values) for name, values in rules.mapped.only.items()}
        self._fields = self._readers(rules.fields)
        self._lists = {name: self._readers(fields) for name, fields in rules.lists.items()}

    @staticmethod
    def _readers(fields: dict[str, tuple[Rule, FieldType]]) -> list[tuple[str, Rule, FieldType, Reader]]:
        return [(path, rule, kind, reader(rule, kind)) for path, (rule, kind) in fields.items()]

    def candidates(self, records: Iterable[Record]) -> Iterator[Candidate]:
        """One per row, or, where the target has lists, one per run of rows with the same key."""
        current: Candidate | None = None
        for record in records:
            cells = {} if record.problem else self.cells(record)
            if not record.problem and not self._is_wanted(cells):
                self.left_out += 1
                continue
            key = self.key_of_broken(record) if record.problem else self._key(cells)
            if current is not None and self._lists and key and key == current.key:
                current.rows.append(record)
                if len(current.rows) > MAX_GROUP:
                    raise FileError(
                        f"More than {MAX_GROUP:,} rows from line {current.line} on have the key {key!r}: is key right?"
                    )
            else:
                if current is not None:
                    yield current
                current = Candidate(record.line, key, {}, [record])
                if not record.problem:
                    self._begin(current, cells)
            if record.problem:
                current.problems.append(Problem(record.line, "", "", record.problem, "Mend the row."))
            else:
                self._add_elements(current, record, cells)
        if current is not None:
            yield current

    def _is_wanted(self, cells: Cells) -> bool:
        return all(plain(cells[name] or "") in wanted for name, wanted in self._only.items())

    def key_of_broken(self, record: Record) -> str:
        """The key of a row of too many or too few values, if it reaches as far as the key."""
        places = dict(self._places)
        found = [record.values[places[k]] for k in self.rules.mapped.key if places[k] < len(record.values)]
        parts = [plain(value).strip() for value in found if value is not None]
        return "/".join(parts) if len(parts) == len(self.rules.mapped.key) and all(parts) else ""

    def cells(self, record: Record) -> dict[str, Any]:
        """The mapped columns of a row, None for what means nothing."""
        found: dict[str, Any] = {}
        for name, place in self._places:
            value = record.values[place]
            if isinstance(value, str):
                value = value.strip()
                found[name] = None if value in self._null else value
            else:
                found[name] = value
        return found

    def _key(self, cells: Cells) -> str:
        parts = [plain(cells[name]) for name in self.rules.mapped.key if cells[name] is not None]
        return "/".join(parts) if len(parts) == len(self.rules.mapped.key) else ""

    def _begin(self, candidate: Candidate, cells: Cells) -> None:
        if not candidate.key:
            column = next(name for name in self.rules.mapped.key if cells[name] is None)
            candidate.problems.append(
                Problem(candidate.line, column, "", "it is empty, and it is the row's key.", "Give the row a key.")
            )
        for path, rule, kind, read in self._fields:
            self._fill(candidate, tuple(path.split(".")), rule, kind, read, cells, candidate.line)

    def _add_elements(self, candidate: Candidate, record: Record, cells: Cells) -> None:
        for name, fields in self._lists.items():
            elements: list[dict[str, Any]] = candidate.data.setdefault(name, [])
            elements.append({})
            for path, rule, kind, read in fields:
                self._fill(candidate, (name, len(elements) - 1, path), rule, kind, read, cells, record.line)

    def _fill(
        self,
        candidate: Candidate,
        path: tuple[str | int, ...],
        rule: Rule,
        kind: FieldType,
        read: Reader,
        cells: Cells,
        line: int,
    ) -> None:
        try:
            value = read(cells)
        except Unfit as unfit:
            given = ", ".join(plain(cells[name]) for name in rule.sources if cells[name] is not None)
            candidate.problems.append(Problem(line, ", ".join(rule.sources), given, unfit.reason, unfit.advice))
            return
        if value is None or value == []:
            if kind.required:
                reason = "it is empty, and the field is needed."
                candidate.problems.append(
                    Problem(line, ", ".join(rule.sources), "", reason, "Fill it, or say a default in the mapping.")
                )
            return
        if kind.kind == REFERENCE and rule.value is None:
            own = self.rules.own_reference(rule, kind)
            names = value if isinstance(value, list) else [value]
            candidate.references.append(Reference(path, names, kind.many, rule, kind, own, line))
            return
        put(candidate.data, path, value)


def put(data: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    """Sets what stands at a path, making the objects on the way."""
    place: Any = data
    for step, following in pairwise(path):
        if isinstance(step, int):
            place = place[step]
        else:
            place = place.setdefault(step, [] if isinstance(following, int) else {})
    place[path[-1]] = value
