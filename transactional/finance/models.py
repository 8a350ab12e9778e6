"""Account profiles: a replica of Contacts' accounts, extended by what Finance alone knows."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q

from transactional.kernel.base import ScopedModel, address, currency, key, money
from transactional.kernel.money import MAX_AMOUNT, not_negative

DEFAULT_CREDIT_LIMIT = Decimal(10000)
DEFAULT_PAYMENT_TERMS = "Net 30"


class AccountProfile(ScopedModel):
    """``name`` to ``currency`` and the scope follow Contacts (``replica_version`` is the account's version they show).

    The rest is Finance's own: ``credit_limit`` and ``balance_due`` are amounts of ``currency``.
    """

    id = None
    account_uuid = key()
    name = models.CharField(max_length=200)
    account_type = models.CharField(max_length=20)
    account_status = models.CharField(max_length=20)
    billing_address = address()
    currency = currency()
    replica_version = models.BigIntegerField(default=0)

    tax_id = models.CharField(max_length=40, null=True)  # noqa: DJ001 (absent is null)
    credit_limit = money(default=DEFAULT_CREDIT_LIMIT)
    payment_terms = models.CharField(max_length=40, default=DEFAULT_PAYMENT_TERMS)
    balance_due = money(default=Decimal(0))
    on_credit_hold = models.BooleanField(default=False)
    hold_reason = models.CharField(max_length=4000, null=True)  # noqa: DJ001
    hold_since = models.DateTimeField(null=True)

    class Meta(ScopedModel.Meta):
        db_table = "account_profile"
        constraints = [
            models.CheckConstraint(
                condition=not_negative("credit_limit"),
                name="account_profile_credit_limit_not_negative",
                violation_error_message="A credit limit cannot be negative.",
            ),
            models.CheckConstraint(
                condition=Q(balance_due__gte=-MAX_AMOUNT, balance_due__lte=MAX_AMOUNT),
                name="account_profile_balance_due_a_number",
                violation_error_message="A balance is a number.",
            ),
            models.CheckConstraint(
                condition=Q(on_credit_hold=True, hold_reason__isnull=False, hold_since__isnull=False)
                | Q(on_credit_hold=False, hold_reason__isnull=True, hold_since__isnull=True),
                name="account_profile_hold_reason_while_on_hold",
                violation_error_message="A credit hold has a reason and a beginning, and nothing else has.",
            ),
        ]
        indexes = [
            models.Index(fields=["name"], name="finance_profile_name"),
            models.Index(fields=["territory_id"], name="finance_profile_territory"),
        ]
