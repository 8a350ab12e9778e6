"""Bulk commands: many rows in one transaction, each with a verdict of its own, written by COPY."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import orjson
import psycopg
from django.db import connections, models, transaction
from django.db.utils import Error as DatabaseError
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from transactional.contracts.base import Command
from transactional.kernel import outbox
from transactional.kernel.base import Versioned
from transactional.kernel.context import Context
from transactional.kernel.dberrors import RETRIED, problem_of, sqlstate_of
from transactional.kernel.problems import FieldError, Problem, Rejected, from_validation
from transactional.kernel.validation import inspect

if TYPE_CHECKING:
    from transactional.kernel.registry import CommandSpec

MAX_ROWS = 5000
CommandT = TypeVar("CommandT", bound=Command)
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class ReferenceKey(BaseModel):
    """What the row is called where it comes from."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: _Name
    key: _Name


class Verdict(BaseModel):
    """What became of one row. ``id`` is set for created rows and for those that existed."""

    model_config = ConfigDict(from_attributes=True)

    index: int
    status: Literal["created", "exists", "rejected"]
    id: UUID | None = None
    errors: list[FieldError] = Field(default_factory=list)


class Verdicts(BaseModel):
    """One verdict per row, in the order of the request."""

    verdicts: list[Verdict]
    created: int
    exists: int
    rejected: int


@dataclass
class Row(Generic[CommandT]):
    """One row of a bulk command. The command's function accepts or rejects it."""

    index: int
    cmd: CommandT
    key: ReferenceKey | None
    made: Versioned | None = None
    found: UUID | None = None
    errors: list[FieldError] = field(default_factory=list)

    def accept(self, row: Versioned) -> None:
        """This is the row that came of it."""
        self.made = row

    def reject(self, field: str, code: str, message: str) -> None:
        """Nothing comes of it, for this reason; ``field`` is one of the command's."""
        self.errors.append(
            FieldError(f"rows.{self.index}.data.{field}" if field else f"rows.{self.index}", code, message)
        )

    @property
    def open(self) -> bool:
        return not self.errors and self.found is None

    def verdict(self) -> Verdict:
        if self.errors:
            return Verdict(index=self.index, status="rejected", errors=self.errors)
        if self.found is not None:
            return Verdict(index=self.index, status="exists", id=self.found)
        if self.made is None:
            raise RuntimeError(f"Row {self.index} was neither accepted nor rejected by its bulk command.")
        return Verdict(index=self.index, status="created", id=self.made.pk)


def run_rows(ctx: Context, spec: CommandSpec, payload: Mapping[str, Any]) -> Verdicts:
    """Hands the good and new rows to the command, and tells of each what became of it.

    Rows that exist are found before anything is validated: their data count for nothing, and an import that is
    repeated costs half.
    """
    named, verdicts = _read(payload)
    existing = _existing(ctx, spec, (key for _, key, _ in named if key is not None))
    rows: list[Row[Any]] = []
    for index, key, data in named:
        if key is not None and key in existing:
            verdicts.append(Verdict(index=index, status="exists", id=existing[key]))
            continue
        errors, cmd = inspect(spec.input, data, f"rows.{index}.data")
        if cmd is None:
            verdicts.append(Verdict(index=index, status="rejected", errors=errors))
        else:
            rows.append(Row(index, cmd, key))
    _apply(ctx, spec, rows)
    verdicts += [row.verdict() for row in rows]
    verdicts.sort(key=lambda verdict: verdict.index)
    counts = {status: sum(v.status == status for v in verdicts) for status in ("created", "exists", "rejected")}
    return Verdicts(verdicts=verdicts, **counts)


def _read(payload: Mapping[str, Any]) -> tuple[list[tuple[int, ReferenceKey | None, Any]], list[Verdict]]:
    """The rows that have a row's form, as ``(index, key, data)``, and verdicts on the others."""
    given = payload.get("rows")
    unknown = [FieldError(name, "extra_forbidden", "unknown field") for name in payload if name != "rows"]
    if unknown or not isinstance(given, Sequence) or isinstance(given, str) or not 1 <= len(given) <= MAX_ROWS:
        raise Rejected(
            f"A bulk command takes rows: a list of 1 to {MAX_ROWS} objects.",
            errors=unknown or [FieldError("rows", "length", f"1 to {MAX_ROWS} rows")],
        )
    rows: list[tuple[int, ReferenceKey | None, Any]] = []
    refused: list[Verdict] = []
    seen: set[ReferenceKey] = set()
    for index, item in enumerate(given):
        errors, key = _read_key(item, f"rows.{index}")
        if key is not None and key in seen:
            errors = [FieldError(f"rows.{index}.key", "repeated", "an earlier row of this request has the same key")]
        if errors:
            refused.append(Verdict(index=index, status="rejected", errors=errors))
            continue
        if key is not None:
            seen.add(key)
        rows.append((index, key, item["data"]))
    return rows, refused


def _read_key(item: Any, prefix: str) -> tuple[list[FieldError], ReferenceKey | None]:
    if not isinstance(item, Mapping) or "data" not in item or not item.keys() <= {"key", "data"}:
        return [FieldError(prefix, "form", 'a row is {"data": {…}} with an optional "key"')], None
    if item.get("key") is None:
        return [], None
    try:
        return [], ReferenceKey.model_validate(item["key"])
    except ValidationError as error:
        return from_validation(error, f"{prefix}.key"), None


def _existing(ctx: Context, spec: CommandSpec, keys: Iterable[ReferenceKey]) -> dict[ReferenceKey, UUID]:
    """The ids of those ``keys`` that name a row already."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        by_source[key.source].append(key.key)
    found: dict[ReferenceKey, UUID] = {}
    with connections[ctx.service].cursor() as cursor:
        for source, names in by_source.items():
            cursor.execute(
                "select key, resource_id from external_reference where source = %s and resource = %s and key = any(%s)",
                [source, spec.resource, names],
            )
            found |= {ReferenceKey(source=source, key=name): resource_id for name, resource_id in cursor.fetchall()}
    return found


def _apply(ctx: Context, spec: CommandSpec, rows: list[Row[Any]]) -> None:
    """Runs the command on the rows; what the database refuses is found by halving, so that only bad rows fail."""
    if not rows:
        return
    for row in rows:
        row.made = None
    try:
        with transaction.atomic(using=ctx.service):
            spec.function(ctx, rows)
            for row in rows:
                if row.errors or row.made is None:
                    continue
                ctx.check_created(row.made)
                if row.key is not None:
                    ctx.refer(row.made, row.key.source, row.key.key)
            outbox.flush(ctx)
            with connections[ctx.service].cursor() as cursor:
                cursor.execute("set constraints all immediate")
                cursor.execute("set constraints all deferred")
        return
    except (DatabaseError, psycopg.Error) as error:
        problem = None if sqlstate_of(error) in RETRIED else problem_of(error)
        if problem is None or problem.status == 503:
            raise
    except Problem as refused:
        problem = refused
    ctx.events.clear()
    ctx.references.clear()
    for row in rows:
        row.errors.clear()
    if len(rows) == 1:
        for fault in problem.errors or (FieldError("", problem.code, problem.detail),):
            rows[0].reject(fault.field, fault.code, fault.message)
        if rows[0].key is not None:
            rows[0].found = _existing(ctx, spec, [rows[0].key]).get(rows[0].key)
        if rows[0].found is not None:
            rows[0].errors.clear()
        return
    half = len(rows) // 2
    _apply(ctx, spec, rows[:half])
    _apply(ctx, spec, rows[half:])


def copy_rows(rows: Sequence[Versioned]) -> None:
    """Inserts new rows, of any models, by COPY; one COPY per run of rows of the same model, in the order given."""
    start = 0
    while start < len(rows):
        model = type(rows[start])
        end = start
        while end < len(rows) and type(rows[end]) is model:
            end += 1
        _copy(model, rows[start:end])
        start = end


def _copy(model: type[Versioned], rows: Sequence[Versioned]) -> None:
    alias = model._meta.app_label
    fields = model._meta.concrete_fields
    names = [f.attname for f in fields]
    json = [isinstance(f, models.JSONField) for f in fields]
    outbox.write_rows(
        alias,
        model._meta.db_table,
        [str(f.column) for f in fields],
        (
            [
                Jsonb(value, orjson.dumps) if is_json and value is not None else value
                for value, is_json in zip([getattr(row, name) for name in names], json, strict=True)
            ]
            for row in rows
        ),
    )
    for row in rows:
        row._state.adding = False
        row._state.db = alias
