"""An import of one file: read, checked, written in chunks through the target's bulk command, or only rehearsed.

Every record carries its key as external reference, so what an earlier run wrote is found and left alone: a run that was
killed is completed by another one, and a file of mended rows is imported like the first.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from transactional.importers.report import Progress
from transactional.importers.sending import field_of, submit
from transactional.importers.tabular.candidates import Candidate, Reading, Reference, put
from transactional.importers.tabular.converting import plain
from transactional.importers.tabular.errors import FileError, MappingError, Problem
from transactional.importers.tabular.lookups import Kind, Lookups
from transactional.importers.tabular.mapping import Rules
from transactional.importers.tabular.outcome import Outcome, Rejects
from transactional.importers.tabular.records import (
    CsvTable,
    Dialect,
    ParquetTable,
    Record,
    Table,
    encoding_of,
    is_parquet,
    separator_of,
)
from transactional.importers.tabular.scratch import Scratch
from transactional.importers.tabular.targets import Target
from transactional.kernel.context import Context

PATIENCE = 60.0
"""Seconds without any progress after which a service's copies of what an earlier import created count as stuck."""
_CHUNK, _MANY_ROWS = 1_000, 5_000
"""Records sent at once, and rows of the file in them: as measured for the companies' imports (``loading.py``)."""


def import_file(
    path: Path,
    rules: Rules,
    known: dict[str, Target],
    ctx: Context,
    *,
    rejects: Path | None = None,
    rehearsal: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Imports ``path`` as ``rules`` say. Raises FileError and MappingError before anything is written.

    A rehearsal runs every command to its verdicts and takes it back. Rows that are refused go to ``rejects`` too. A
    Problem, ReplicasStuck or database error ends it midway: what was written stays, and the next run goes on.
    """
    began = time.monotonic()
    table = opened(path, rules)
    missing = [name for name in rules.columns if name not in table.columns]
    if missing:
        raise MappingError(
            rules.name, [f"{path.name} has no column {', '.join(missing)}; it has {', '.join(table.columns)}."]
        )
    outcome = Outcome(path.name, rules.target.name, rehearsal)
    form = Dialect("utf-8", ",")
    if isinstance(table, CsvTable):
        form = table.dialect
        outcome.encoding, outcome.separator = form.encoding, form.separator
    outcome.rows = _survey(table, rules)
    out = Rejects(rejects, table.columns, encoding=form.encoding, separator=form.separator, quote=form.quote)
    try:
        with Scratch() as scratch:
            run = _Run(rules, known, replace(ctx, rehearsal=rehearsal), outcome, out, scratch)
            run.all(table, progress)
    finally:
        out.close()
    outcome.seconds = time.monotonic() - began
    outcome.rejected_rows = str(rejects) if out.written else None
    return outcome


def _survey(table: Table, rules: Rules) -> int:
    """How many rows there are, by reading them all: what stops the file stops it before anything is written."""
    reading = Reading(rules, table.columns)
    rows = 0
    for record in table:
        rows += 1
        if record.problem and rules.lists and not reading.key_of_broken(record):
            raise FileError(
                f"{table.path.name} line {record.line}: {record.problem} It may belong to any record, and a record "
                "without one of its rows would be wrong: mend it first."
            )
    return rows


def opened(path: Path, rules: Rules) -> Table:
    """The table in a file, as the mapping's [file] says or as it looks."""
    if is_parquet(path):
        return ParquetTable(path)
    said = rules.mapped.file
    encoding = said.encoding or encoding_of(path)
    if encoding == "windows-1252" and said.encoding is None:
        raise FileError(
            f'{path.name} is no UTF-8; it looks like Windows-1252. If so, say encoding = "windows-1252" in [file].'
        )
    separator = said.separator or separator_of(path, encoding, said.quote, rules.columns)
    return CsvTable(path, Dialect(encoding, separator, said.quote, said.columns))


class _Run:
    def __init__(
        self,
        rules: Rules,
        known: dict[str, Target],
        ctx: Context,
        outcome: Outcome,
        rejects: Rejects,
        scratch: Scratch,
    ) -> None:
        self.rules = rules
        self.ctx = ctx
        self.outcome = outcome
        self.rejects = rejects
        self.scratch = scratch
        self.lookups = Lookups(rules, known, ctx)
        self.has_lists = bool(rules.lists)

    def all(self, table: Table, progress: Progress | None) -> None:
        reading = Reading(self.rules, table.columns)
        done = 0
        for chunk in _chunks(reading.candidates(table)):
            good = [candidate for candidate in chunk if self._is_new(candidate)]
            self._send(self._resolved(good))
            self.outcome.left_out = reading.left_out
            if progress:
                done += sum(len(candidate.rows) for candidate in chunk)
                progress(self.rules.target.name, done + reading.left_out, self.outcome.rows)
        self.outcome.left_out = reading.left_out
        self._waiting()

    def _is_new(self, candidate: Candidate) -> bool:
        """Whether nothing is wrong so far; a key that stood earlier in the file is."""
        if candidate.key:
            first = self.scratch.first_line(candidate.key, candidate.line)
            if first != candidate.line and self.rules.mapped.repeats == "skip":
                self.outcome.repeated += 1
                return False
            if first != candidate.line:
                reason = f"the key stands in line {first} already."
                advice = (
                    "Sort the file by its key: rows of one record stand together."
                    if self.has_lists
                    else ("Delete one of the two, or choose a key that tells them apart.")
                )
                column = ", ".join(self.rules.mapped.key)
                candidate.problems.append(Problem(candidate.line, column, candidate.key, reason, advice))
        if candidate.problems:
            self._refuse(candidate)
        return not candidate.problems

    def _resolved(self, candidates: list[Candidate], wave: int = 0) -> list[Candidate]:
        """Those whose references all have ids; who waits for a row of this file is laid aside for ``wave`` + 1."""
        wanted: dict[Kind, set[str]] = defaultdict(set)
        for candidate in candidates:
            for reference in candidate.references:
                wanted[self._kind(reference)].update(reference.names)
        ids = {kind: self.lookups.find(kind, names) for kind, names in wanted.items()}
        ready = []
        for candidate in candidates:
            waits = self._fill(candidate, ids)
            if candidate.problems:
                self._refuse(candidate)
            elif waits is not None:
                self.scratch.lay_aside(wave + 1, waits, _packed(candidate))
            else:
                ready.append(candidate)
        return ready

    def _fill(self, candidate: Candidate, ids: dict[Kind, dict[str, UUID | str]]) -> str | None:
        """Puts the ids in place; the name of the row of this file that must stand first, if there is one."""
        waits = None
        for reference in candidate.references:
            kind = self._kind(reference)
            found: list[str] = []
            for name in reference.names:
                answer = ids[kind][name]
                if isinstance(answer, UUID):
                    found.append(str(answer))
                elif reference.own and name != candidate.key and not self._rehearsed(name):
                    waits = name
                elif not (reference.own and self._rehearsed(name)):
                    candidate.problems.append(
                        Problem(
                            reference.line,
                            ", ".join(reference.rule.sources),
                            name,
                            "a row cannot stand below itself." if name == candidate.key else answer,
                            self.lookups.advice(kind, name),
                        )
                    )
            if found:
                put(candidate.data, reference.path, found if reference.many else found[0])
        return waits

    def _rehearsed(self, key: str) -> bool:
        """Whether a rehearsal has accepted the row of this key, which therefore has no id."""
        return self.ctx.rehearsal and self.scratch.is_accepted(key)

    def _kind(self, reference: Reference) -> Kind:
        rule = reference.rule
        return self.lookups.kind(rule.lookup or reference.kind.reference, rule.by, rule.source)

    def _waiting(self) -> None:
        """Rows that wait for rows of this file, wave by wave; a wave that brings nothing ends it."""
        wave = 1
        while True:
            before = self.outcome.created + self.outcome.unchanged
            any_left = False
            while laid := self.scratch.laid_aside(wave, _CHUNK):
                any_left = True
                self._send(self._resolved([self._unpacked(row) for _, row in laid], wave))
            if not any_left:
                return
            wave += 1
            if self.outcome.created + self.outcome.unchanged == before:
                break
        while laid := self.scratch.laid_aside(wave, _CHUNK):
            for parent, row in laid:
                candidate = self._unpacked(row)
                reference = candidate.parent
                column = ", ".join(reference.rule.sources) if reference else ""
                reason = (
                    "neither known nor in the file as a row that could be imported, or the two stand below each other."
                )
                kind = self._kind(reference) if reference else None
                advice = self.lookups.advice(kind, parent) if kind else ""
                candidate.problems.append(Problem(candidate.line, column, parent, reason, advice))
                self._refuse(candidate)

    def _send(self, candidates: list[Candidate]) -> None:
        if candidates:
            rows = [
                {"key": {"source": self.rules.mapped.source, "key": candidate.key}, "data": candidate.data}
                for candidate in candidates
            ]
            verdicts = submit(self.rules.target.spec.name, rows, self.ctx, patience=PATIENCE * (not self.ctx.rehearsal))
            accepted = []
            for candidate, verdict in zip(candidates, verdicts, strict=True):
                if verdict["status"] == "rejected":
                    candidate.problems += [self._problem(candidate, error, verdict) for error in verdict["errors"]]
                    self._refuse(candidate)
                    continue
                accepted.append(candidate.key)
                self.outcome.created += verdict["status"] == "created"
                self.outcome.unchanged += verdict["status"] == "exists"
            self.scratch.accept(accepted)
        self.rejects.flush()

    def _problem(self, candidate: Candidate, error: dict[str, Any], verdict: dict[str, Any]) -> Problem:
        """What the command refused, told by the column that the value came from."""
        field, line = field_of(error, verdict), candidate.line
        head, _, rest = field.partition(".")
        found = self.rules.fields.get(field)
        if head in self.rules.lists and rest:
            place, _, inner = rest.partition(".")
            found = self.rules.lists[head].get(inner)
            line = candidate.rows[min(int(place), len(candidate.rows) - 1)].line if place.isdigit() else line
        column = ", ".join(found[0].sources) if found else ""
        value = candidate.data.get(field) if found else None
        return Problem(line, column or field, "" if value is None else plain(value), error["message"])

    def _refuse(self, candidate: Candidate) -> None:
        self.rejects.add(self.outcome, candidate.rows, candidate.problems)

    def _unpacked(self, row: dict[str, Any]) -> Candidate:
        references = []
        for path, names, line in row["references"]:
            fields = self.rules.fields if len(path) < 3 else self.rules.lists[path[0]]
            rule, kind = fields[".".join(path) if len(path) < 3 else path[2]]
            own = self.rules.own_reference(rule, kind)
            references.append(Reference(tuple(path), names, kind.many, rule, kind, own, line))
        rows = [Record(line, (), raw) for line, raw in row["rows"]]
        return Candidate(row["line"], row["key"], row["data"], rows, references)


def _packed(candidate: Candidate) -> dict[str, Any]:
    return {
        "line": candidate.line,
        "key": candidate.key,
        "data": candidate.data,
        "rows": [(row.line, list(row.raw)) for row in candidate.rows],
        "references": [(r.path, r.names, r.line) for r in candidate.references],
    }


def _chunks(candidates: Iterator[Candidate]) -> Iterator[list[Candidate]]:
    chunk: list[Candidate] = []
    rows = 0
    for candidate in candidates:
        chunk.append(candidate)
        rows += len(candidate.rows)
        if len(chunk) >= _CHUNK or rows >= _MANY_ROWS:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk
