"""What PostgreSQL refused, as a problem that names the field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import psycopg
from django.apps import apps
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint
from django.db.utils import Error as DjangoDatabaseError

from transactional.kernel.problems import Conflict, FieldError, Problem, Rejected, Unavailable

RETRIED = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: the same command may succeed when run again."""

TIMED_OUT = frozenset({"55P03", "57014"})
"""lock_not_available and query_canceled: lock_timeout or statement_timeout ran out; the connection lives."""

BUSY = RETRIED | TIMED_OUT
"""Nothing was wrong with the command."""

_KEY = re.compile(r"Key \((?P<columns>[^)=]+)\)=")
_SENTENCES = {
    "23502": "must not be empty",
    "23503": "does not exist",
    "23505": "is taken",
    "23P01": "overlaps with another one",
    "23514": "is not allowed",
    "22003": "is out of range",
    "22001": "is too long",
    "22P05": "contains a character that cannot be stored",
    "22021": "contains a character that cannot be stored",
}


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE behind an error of Django or psycopg, None if there is none (a lost connection)."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None


def problem_of(error: DjangoDatabaseError | psycopg.Error) -> Problem | None:
    """The caller's problem, or None where the fault is not the caller's: a bug, to be raised as it is."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) or sqlstate_of(error) in BUSY:
        return Unavailable("The service's database gives no answer or is busy; try again.")
    if not isinstance(cause, psycopg.Error) or cause.sqlstate is None:
        return None
    state = cause.sqlstate
    if state[:2] not in ("22", "23"):
        return None
    field, sentence = _blame(cause)
    if sentence is None:
        sentence = _SENTENCES.get(state, "is not valid")
    errors = [FieldError(field, f"database_{state}", sentence)]
    if state == "23505":
        return Conflict(f"{field or 'A value'} {sentence}." if sentence == "is taken" else sentence, errors=errors)
    return Rejected(
        sentence if " " in sentence and sentence[0].isupper() else f"{field or 'A value'} {sentence}.", errors=errors
    )


def _blame(cause: psycopg.Error) -> tuple[str, str | None]:
    """The field to name and, where one was declared, the sentence to say."""
    diagnostic = cause.diag
    declared = _declared().get(diagnostic.constraint_name or "")
    field = diagnostic.column_name or ""
    sentence = None
    if declared is not None:
        field, sentence = field or declared[0], declared[1]
    elif diagnostic.constraint_name is None and cause.sqlstate == "23514":
        sentence = diagnostic.message_primary
    if not field:
        found = _KEY.search(diagnostic.message_detail or "")
        field = found["columns"].split(", ")[-1] if found else ""
    return field, sentence


@cache
def _declared() -> dict[str, tuple[str, str | None]]:
    """Constraint name → (field, sentence) of every model."""
    found: dict[str, tuple[str, str | None]] = {}
    for model in apps.get_models():
        # A foreign key goes by its column in commands and resources: parent_id, not parent.
        columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
        for constraint in model._meta.constraints:
            custom = constraint.violation_error_message != constraint.default_violation_error_message
            sentence = str(constraint.violation_error_message) if custom else None
            blamed = next(_fields(constraint), "")
            found[constraint.name] = (columns.get(blamed, blamed), sentence)
    return found


def _fields(constraint: models.BaseConstraint) -> Iterator[str]:
    if isinstance(constraint, UniqueConstraint):
        yield from reversed(constraint.fields)
    elif isinstance(constraint, CheckConstraint) and isinstance(constraint.condition, Q):
        yield from (path.partition("__")[0] for path in _leaves(constraint.condition))


def _leaves(condition: Q) -> Iterator[str]:
    for child in condition.children:
        if isinstance(child, Q):
            yield from _leaves(child)
        elif isinstance(child, tuple):
            yield child[0]
