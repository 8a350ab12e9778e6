"""Bases of every table of a service: keys, versions, custom fields, scope columns, and reading within one's scope."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Self, TypeVar
from uuid import UUID

from django.db import models
from uuid_utils.compat import uuid7

from policy.decide import scopes
from policy.rows import row_filter
from transactional.kernel.context import Context
from transactional.kernel.problems import Absent


def now() -> datetime:
    return datetime.now(UTC)


def key() -> models.UUIDField[UUID, UUID]:
    """A primary key: UUIDv7 made here, so that a row has its name before it is written. Never read it as an order."""
    return models.UUIDField(primary_key=True, default=uuid7, editable=False)


def money(**options: Any) -> models.DecimalField[Any, Any]:
    """numeric(19,4)."""
    return models.DecimalField(max_digits=19, decimal_places=4, **options)


def currency(**options: Any) -> models.CharField[Any, Any]:
    """ISO 4217 code."""
    return models.CharField(max_length=3, **options)


def address() -> models.JSONField[Any, Any]:
    """A postal address as ``contracts.types.Address`` shapes it, or null."""
    return models.JSONField(null=True)


RowT = TypeVar("RowT", bound="Versioned")


class RowQuerySet(models.QuerySet[RowT], Generic[RowT]):
    """Rows as an actor sees them."""

    def visible_to(self, ctx: Context) -> Self:
        """Only the rows that the context's permission reaches for its actor."""
        if not self.model.scoped():
            return self
        reached = scopes(ctx.actor.roles, ctx.permission, self.model.object_type())
        return self.filter(row_filter(ctx.actor, reached))

    def for_update(self, ctx: Context, pk: UUID) -> RowT:
        """The row, locked until the transaction ends. Raises Absent, or StaleVersion for the command's target."""
        row = self.visible_to(ctx).select_for_update(of=("self",)).filter(pk=pk).first()
        if row is None:
            raise Absent(self.model.object_type(), pk)
        ctx.check_version(row)
        return row


class Versioned(models.Model):
    """The kernel's columns except the key. ``version`` is 1 at insert and grows by one with each update."""

    append_only: ClassVar[bool] = False
    """Whether the service's role may only insert."""
    published: ClassVar[bool] = True
    """Whether the table is streamed."""

    version = models.BigIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)
    custom = models.JSONField(default=dict)

    objects: ClassVar[RowQuerySet[Any]] = RowQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        """As Django's, but an update raises ``version`` and ``updated_at``."""
        if not self._state.adding:
            self.version += 1
            self.updated_at = now()
            if options.get("update_fields") is not None:
                options["update_fields"] = {*options["update_fields"], "version", "updated_at"}
        super().save(*args, **options)

    @classmethod
    def object_type(cls) -> str:
        """``<service>.<table>``: the name of the resource and of the object type in policy."""
        return f"{cls._meta.app_label}.{cls._meta.db_table}"

    @classmethod
    def scoped(cls) -> bool:
        return issubclass(cls, ScopeColumns)

    def change(self, **values: Any) -> list[str]:
        """Sets what differs and saves exactly that. Returns the names that changed; without any, nothing is written."""
        changed = [name for name, value in values.items() if getattr(self, name) != value]
        for name in changed:
            setattr(self, name, values[name])
        if changed:
            self.save(update_fields=changed)
        return changed


class ScopeColumns(models.Model):
    """Whose row it is. Values are ids of identity's users, teams and territories, which are not ours to constrain."""

    owner_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    territory_id = models.UUIDField(null=True)

    class Meta:
        abstract = True


class BusinessModel(Versioned):
    """A table with a UUIDv7 key named ``id``."""

    id = key()

    class Meta(Versioned.Meta):
        abstract = True


class ScopedModel(ScopeColumns, BusinessModel):
    """A business table with row scope."""

    class Meta(BusinessModel.Meta):
        abstract = True
