"""Books, their moves (append-only) and a replica of accounts."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from transactional.kernel.base import BusinessModel, ScopedModel, currency, key, money
from transactional.kernel.lifecycle import Lifecycle, Transition


class Book(ScopedModel):
    title = models.CharField(max_length=200)
    isbn = models.CharField(max_length=20, unique=True)
    price = money(null=True)
    currency = currency(default="EUR")
    pages = models.IntegerField(null=True)
    weight = models.IntegerField(null=True)
    status = models.CharField(max_length=20, default="draft")
    sequel_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="sequels")

    lifecycle = Lifecycle(
        "status",
        initial="draft",
        transitions=(
            Transition("publish", ("draft",), "published"),
            Transition("withdraw", ("draft", "published"), "withdrawn"),
        ),
    )

    class Meta(ScopedModel.Meta):
        db_table = "book"
        constraints = [
            models.CheckConstraint(
                condition=Q(price__isnull=True) | Q(price__gte=0),
                name="book_price_not_negative",
                violation_error_message="A price cannot be negative.",
            )
        ]


class Move(BusinessModel):
    """Where a book went; history, which nobody rewrites."""

    append_only = True

    book = models.ForeignKey(Book, models.PROTECT, related_name="moves")
    place = models.CharField(max_length=100)

    class Meta(BusinessModel.Meta):
        db_table = "move"


class AccountReplica(ScopedModel):
    """What this service knows of another's accounts, and one column of its own."""

    id = None
    account_uuid = key()
    name = models.CharField(max_length=200)
    address = models.JSONField(null=True)
    replica_version = models.BigIntegerField(default=0)
    discount = models.DecimalField(max_digits=9, decimal_places=6, default=0)

    class Meta(ScopedModel.Meta):
        db_table = "account_replica"
