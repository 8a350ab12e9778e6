"""The kernel's own tables. They stand in every service's schema; the alias of a query says in which."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from uuid_utils.compat import uuid7

from transactional.kernel.base import now


class KernelTable(models.Model):
    """``append_only`` and ``published`` as for business tables."""

    append_only: ClassVar[bool] = False
    published: ClassVar[bool] = False

    class Meta:
        abstract = True


class Outbox(KernelTable):
    """Events of this service, written in the transaction that made them true; read by dispatch from the WAL."""

    append_only = True
    published = True

    id = models.UUIDField(primary_key=True, default=uuid7)
    aggregate_type = models.TextField()
    aggregate_id = models.UUIDField()
    aggregate_version = models.BigIntegerField()
    type = models.TextField()
    schema_version = models.IntegerField()
    payload = models.JSONField()
    occurred_at = models.DateTimeField(default=now)
    causation_id = models.UUIDField(null=True)
    correlation_id = models.UUIDField(null=True)
    actor_id = models.UUIDField(null=True)
    traceparent = models.TextField(null=True)  # noqa: DJ001 (absent is null)

    class Meta:
        db_table = "outbox"
        indexes = [models.Index(fields=["occurred_at"], name="outbox_occurred_at")]


class Inbox(KernelTable):
    """Events that a consumer of this service has applied."""

    append_only = True

    pk = models.CompositePrimaryKey("consumer", "event_id")
    consumer = models.TextField()
    event_id = models.UUIDField()
    applied_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "inbox"


class IdempotencyKey(KernelTable):
    """A caller's key and the answer it got. ``actor_id`` is the nil UUID for the system itself."""

    pk = models.CompositePrimaryKey("actor_id", "key")
    actor_id = models.UUIDField()
    key = models.TextField()
    request_hash = models.BinaryField()
    command = models.TextField()
    status = models.SmallIntegerField(null=True)
    version = models.BigIntegerField(null=True)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "idempotency_key"
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_created_at")]


class Timer(KernelTable):
    """When a timer of this service is due next; ``part`` counts the runs of that period so far."""

    name = models.TextField(primary_key=True)
    due_at = models.DateTimeField()
    last_run_at = models.DateTimeField(null=True)
    part = models.IntegerField(default=0)

    class Meta:
        db_table = "timer"


class AccessLog(KernelTable):
    """What leaves no change behind: refusals, logins, reads of personal data."""

    append_only = True
    published = True

    id = models.UUIDField(primary_key=True, default=uuid7)
    at = models.DateTimeField(default=now)
    kind = models.TextField()
    actor_id = models.UUIDField(null=True)
    actor_name = models.TextField()
    on_behalf_of = models.UUIDField(null=True)
    action = models.TextField()
    resource = models.TextField(null=True)  # noqa: DJ001 (absent is null)
    resource_id = models.TextField(null=True)  # noqa: DJ001 (absent is null)
    request_id = models.UUIDField(null=True)
    detail = models.TextField(null=True)  # noqa: DJ001 (absent is null)

    class Meta:
        db_table = "access_log"
        indexes = [models.Index(fields=["kind", "actor_name", "at"], name="access_log_kind_actor_name_at")]


class ExternalReference(KernelTable):
    """Where a row came from; unique, so that an import may run twice."""

    append_only = True
    published = True

    id = models.UUIDField(primary_key=True, default=uuid7)
    source = models.TextField()
    key = models.TextField()
    resource = models.TextField()
    resource_id = models.UUIDField()

    class Meta:
        db_table = "external_reference"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "resource", "key"],
                name="external_reference_key",
                violation_error_message="Something with this source and key exists already.",
            )
        ]
        indexes = [models.Index(fields=["resource_id"], name="external_reference_resource_id")]


class Revocation(KernelTable):
    """Tokens of this user issued before the moment are refused; replicated from identity."""

    user_id = models.UUIDField(primary_key=True)
    tokens_valid_from = models.BigIntegerField()
    replica_version = models.BigIntegerField(default=0)

    class Meta:
        db_table = "revocation"
