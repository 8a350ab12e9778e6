"""One run of one command: permission, validation, one transaction with audit first, the answer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.conf import settings
from django.db import connections, models, transaction
from django.db.utils import Error as DatabaseError
from pydantic import BaseModel

from policy.decide import may
from transactional.contracts import failpoints
from transactional.contracts.base import Command
from transactional.kernel import audit, idempotency, observing, outbox
from transactional.kernel.base import Versioned
from transactional.kernel.bulk import run_rows
from transactional.kernel.context import Context
from transactional.kernel.dberrors import RETRIED, problem_of, sqlstate_of
from transactional.kernel.problems import Absent, Forbidden, Invalid, Problem, Unavailable
from transactional.kernel.registry import CommandSpec, RegistryError, resource_named, resource_of
from transactional.kernel.validation import dump, parse

ATTEMPTS = 4
"""Runs of a command that meets deadlocks or serialization failures, before the caller is asked to try again."""


class CallInsideCommand(RuntimeError):
    """A command tried to call another service, or a second command, from within its transaction."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is the resource as JSON; ``version`` its version (the ETag); ``position`` is ``source=LSN``, at or after
    the commit. ``replayed``: the answer was stored under the idempotency key."""

    status: int
    body: bytes
    version: int | None = None
    position: str | None = None
    replayed: bool = False

    @property
    def data(self) -> Any:
        """The body decoded."""
        return orjson.loads(self.body)


class _Replay(Exception):
    """Leaves the transaction, which then has no effect at all, with the stored answer."""

    def __init__(self, stored: idempotency.Stored) -> None:
        self.stored = stored


class _Rehearsed(Exception):
    """Leaves the transaction of a rehearsal, which then has no effect at all, with the answer that it would give."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


_running: ContextVar[str | None] = ContextVar("running_command", default=None)


def running_command() -> str | None:
    """The command whose transaction this code is in."""
    return _running.get()


def run(spec: CommandSpec, payload: Mapping[str, Any], caller: Context, *, nested: bool = False) -> Answer:
    """Runs a command and returns its answer; raises a Problem.

    ``nested``: inside the transaction that applies an event; a database that is busy or away is then raised as the
    database error it is, for whoever applies the event to judge.
    """
    about = {"headwater.service": spec.service, "headwater.request_id": str(caller.request_id)}
    with observing.observed(spec.name, about) as outcome:
        try:
            answer = _run(spec, payload, caller, nested=nested)
        except Problem as problem:
            outcome.status = problem.status
            raise
        outcome.status = answer.status
        return answer


def _run(spec: CommandSpec, payload: Mapping[str, Any], caller: Context, *, nested: bool) -> Answer:
    ctx = caller.running(service=spec.service, name=spec.name, permission=spec.permission)
    try:
        _permit(spec, ctx)
        if ctx.idempotency_key is not None:
            idempotency.check(ctx.idempotency_key)
        cmd = None if spec.is_bulk else _input(spec, payload, ctx)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _transaction(spec, cmd, payload, ctx, nested=nested)
            except (DatabaseError, psycopg.Error) as error:
                if not nested and sqlstate_of(error) in RETRIED and attempt < ATTEMPTS:
                    time.sleep(random.uniform(0.005, 0.02) * 2**attempt)
                    ctx = ctx.running(service=spec.service, name=spec.name, permission=spec.permission)
                    continue
                problem = problem_of(error)
                if problem is None or (nested and isinstance(problem, Unavailable)):
                    raise
                raise problem from error
        raise Unavailable("The command met other writers again and again; try again.")
    except Problem as problem:
        if not nested:
            _note_refusal(spec, ctx, problem)
        raise


def _permit(spec: CommandSpec, ctx: Context) -> None:
    if not may(ctx.actor.roles, spec.permission):
        raise Forbidden(f"{ctx.actor.name} lacks the permission {spec.permission}.")


def _input(spec: CommandSpec, payload: Mapping[str, Any], ctx: Context) -> Command:
    cmd = parse(spec.input, payload)
    ctx.input = cmd
    if spec.target is not None:
        ctx.target = getattr(cmd, spec.target)
    elif ctx.expected_version is not None:
        raise Invalid("If-Match", "no_target", "This command changes nothing that has a version yet.")
    return cmd


def _transaction(
    spec: CommandSpec, cmd: Command | None, payload: Mapping[str, Any], ctx: Context, *, nested: bool
) -> Answer:
    try:
        with transaction.atomic(using=spec.service, durable=not nested):
            audit.announce(ctx)
            if ctx.idempotency_key is not None:
                stored = idempotency.claim(ctx, idempotency.digest(spec.name, dump(payload)))
                if stored is not None:
                    raise _Replay(stored)
            with _inside(spec.name):
                answer = _bulk(spec, payload, ctx) if cmd is None else _single(spec, cmd, ctx)
            outbox.flush(ctx)
            if ctx.rehearsal:
                raise _Rehearsed(answer)
            if ctx.idempotency_key is not None:
                idempotency.store(ctx, idempotency.Stored(answer.status, answer.version, answer.body))
            failpoints.reach("command.before_commit")
    except _Rehearsed as rehearsed:
        return rehearsed.answer
    except _Replay as replay:
        known = replay.stored
        answer = Answer(known.status, known.body, known.version, replayed=True)
    if nested:
        return answer
    failpoints.reach("command.after_commit")
    return replace(answer, position=position(spec.service))


def _single(spec: CommandSpec, cmd: Command, ctx: Context) -> Answer:
    result = spec.function(ctx, cmd)
    if ctx.expected_version is not None and not ctx.version_checked:
        raise RegistryError(f"{spec.name} did not lock its target with for_update, so If-Match was not checked.")
    if isinstance(result, Versioned):
        if spec.target is None:
            ctx.check_created(result)
        resource = resource_of(type(result))
        # Read again: the answer shows what the database made of it (scale of decimals, columns set by triggers).
        row = resource.model._default_manager.prefetch_related(*resource.prefetch).get(pk=result.pk)
        return Answer(201 if spec.verb is None else 200, resource.serialise(row), row.version)
    if isinstance(result, BaseModel):
        return Answer(200, result.model_dump_json().encode())
    raise RegistryError(f"{spec.name} must return a row or a pydantic model, not {type(result).__name__}.")


def _bulk(spec: CommandSpec, payload: Mapping[str, Any], ctx: Context) -> Answer:
    return Answer(200, run_rows(ctx, spec, payload).model_dump_json().encode())


@contextmanager
def _inside(name: str) -> Iterator[None]:
    token = _running.set(name)
    try:
        yield
    finally:
        _running.reset(token)


def position(service: str) -> str:
    """The WAL position of the service's database now, as ``source=LSN``."""
    with connections[service].cursor() as cursor:
        cursor.execute("select pg_current_wal_insert_lsn()::text")
        return f"{settings.HEADWATER_SOURCES[service]}={cursor.fetchone()[0]}"


def _note_refusal(spec: CommandSpec, ctx: Context, problem: Problem) -> None:
    """Refusals for lack of permission or scope are logged; a plain mistake in the input is not."""
    if isinstance(problem, Forbidden):
        note = "no permission" if not problem.errors else problem.detail
        target: object = ctx.target
    elif isinstance(problem, Absent) and _exists(problem):
        note, target = "out of scope", problem.key
    else:
        return
    audit.note_access(
        spec.service,
        "refused",
        ctx.actor,
        spec.name,
        resource=problem.object_type if isinstance(problem, Absent) else spec.resource,
        resource_id=target,
        ctx=ctx,
        detail=note,
    )


def _exists(problem: Absent) -> bool:
    try:
        model: type[models.Model] = resource_named(problem.object_type).model
    except RegistryError:
        return False
    return isinstance(problem.key, UUID) and model._default_manager.filter(pk=problem.key).exists()
