"""Errors of the hot lane, and what the database's own errors mean to it."""

from __future__ import annotations

import psycopg
from psycopg import errors


class RefreshError(Exception):
    """Base of every error that the hot lane raises."""


class ProgramError(RefreshError):
    """A hot model is not declared so that the lane can run it; the message names the model and the declaration."""


class MartsMissing(RefreshError):
    """A hot model has no table yet."""

    def __init__(self, cause: psycopg.Error) -> None:
        super().__init__(f"The marts are not built ({str(cause).splitlines()[0]}). Run `headwater rebuild marts`.")


class LaneTaken(RefreshError):
    """Another process refreshes this warehouse."""

    def __init__(self, holder: int | None) -> None:
        super().__init__(
            f"The hot lane is held by another process (warehouse session {holder}). Only one may refresh at a time; "
            "stop the other one, or leave it the work."
        )


def is_of_data(error: psycopg.Error) -> bool:
    """Whether rows caused it: a value out of range, a broken constraint, a value too large for an index."""
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError | errors.CardinalityViolation) or (
        error.sqlstate or ""
    ).startswith(("54", "P0"))


def is_of_model(error: psycopg.Error) -> bool:
    """Whether the model's SQL caused it: a column or a table that is not there, a type that does not fit."""
    return isinstance(error, psycopg.ProgrammingError | psycopg.NotSupportedError) and not is_of_data(error)
