"""Sales orders and lines, and the replicas that orders rely on: accounts of Contacts, products of Inventory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q

from transactional.kernel.base import BusinessModel, ScopedModel, address, currency, key, money
from transactional.kernel.lifecycle import Lifecycle, Transition
from transactional.kernel.money import MAX_AMOUNT, not_negative
from transactional.orders.amounts import line_net

DRAFT, CONFIRMED, SHIPPED, CLOSED, CANCELLED = STATUSES = ("draft", "confirmed", "shipped", "closed", "cancelled")
CHANNELS = ("online", "reseller", "direct")


class AccountKey(models.ForeignKey[Any, Any]):
    """A foreign key to an account profile, whose id stands in attribute and column ``<name>_uuid``."""

    def get_attname(self) -> str:
        return f"{self.name}_uuid"


class AccountProfile(ScopedModel):
    """``name`` to ``shipping_address`` and the scope follow Contacts; shipping method and taxability are ours."""

    id = None
    account_uuid = key()
    name = models.CharField(max_length=200)
    account_type = models.CharField(max_length=20)
    account_status = models.CharField(max_length=20)
    billing_address = address()
    shipping_address = address()
    replica_version = models.BigIntegerField(default=0)

    default_shipping_method = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent is null)
    is_taxable = models.BooleanField(default=True)

    class Meta(ScopedModel.Meta):
        db_table = "account_profile"
        indexes = [
            models.Index(fields=["name"], name="orders_profile_name"),
            models.Index(fields=["territory_id"], name="orders_profile_territory"),
        ]


class ProductReplica(BusinessModel):
    """A product as Inventory last said it is."""

    id = None
    product_id = key()
    sku = models.CharField(max_length=60)
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    list_price = money(null=True)
    currency = currency()
    replica_version = models.BigIntegerField(default=0)

    class Meta(BusinessModel.Meta):
        db_table = "product_replica"
        indexes = [models.Index(fields=["sku"], name="product_replica_sku")]


class SalesOrder(ScopedModel):
    """An order's header. Amounts are of ``currency``.

    ``sub_total`` is the sum of the unrounded line nets, rounded to four decimals; triggers hold it to that within half
    a unit of the last place, and refuse to change amounts or lines once the order is no draft.
    """

    order_number = models.CharField(max_length=40, unique=True)
    account = AccountKey(AccountProfile, models.PROTECT, related_name="orders")
    status = models.CharField(max_length=20, default=DRAFT)
    channel = models.CharField(max_length=20)
    order_date = models.DateField()
    due_date = models.DateField(null=True)
    ship_date = models.DateField(null=True)
    currency = currency()
    sub_total = money(default=Decimal(0))
    tax_amount = money(default=Decimal(0))
    freight = money(default=Decimal(0))
    billing_address = address()
    shipping_address = address()
    shipping_method = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent is null)
    purchase_order_number = models.CharField(max_length=60, null=True)  # noqa: DJ001
    salesperson_id = models.UUIDField(null=True)

    lifecycle = Lifecycle(
        "status",
        initial=DRAFT,
        transitions=(
            Transition("update", (DRAFT,), None),
            Transition("add_line", (DRAFT,), None),
            Transition("update_line", (DRAFT,), None),
            Transition("remove_line", (DRAFT,), None),
            Transition("confirm", (DRAFT,), CONFIRMED),
            Transition("ship", (CONFIRMED,), SHIPPED),
            Transition("close", (SHIPPED,), CLOSED),
            Transition("cancel", (DRAFT, CONFIRMED), CANCELLED),
        ),
    )

    class Meta(ScopedModel.Meta):
        db_table = "sales_order"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=STATUSES),
                name="sales_order_status_known",
                violation_error_message="An order is draft, confirmed, shipped, closed or cancelled.",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=CHANNELS),
                name="sales_order_channel_known",
                violation_error_message="An order comes online, from a reseller or direct.",
            ),
            models.CheckConstraint(
                condition=not_negative("sub_total"),
                name="sales_order_sub_total_not_negative",
                violation_error_message="A subtotal cannot be negative.",
            ),
            models.CheckConstraint(
                condition=not_negative("tax_amount"),
                name="sales_order_tax_amount_not_negative",
                violation_error_message="Tax cannot be negative.",
            ),
            models.CheckConstraint(
                condition=not_negative("freight"),
                name="sales_order_freight_not_negative",
                violation_error_message="Freight cannot be negative.",
            ),
            models.CheckConstraint(
                condition=Q(due_date__isnull=True) | Q(due_date__gte=F("order_date")),
                name="sales_order_due_date_after_order_date",
                violation_error_message="An order cannot be due before its date.",
            ),
            models.CheckConstraint(
                condition=Q(ship_date__isnull=True) | Q(ship_date__gte=F("order_date")),
                name="sales_order_ship_date_after_order_date",
                violation_error_message="An order cannot be shipped before its date.",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=(SHIPPED, CLOSED)) | Q(ship_date__isnull=False),
                name="sales_order_ship_date_when_shipped",
                violation_error_message="A shipped order has a ship date.",
            ),
        ]
        indexes = [
            models.Index(fields=["order_date"], name="sales_order_order_date"),
            models.Index(fields=["territory_id"], name="sales_order_territory"),
            models.Index(fields=["owner_id"], name="sales_order_owner"),
        ]

    @property
    def total_due(self) -> Decimal:
        return self.sub_total + self.tax_amount + self.freight


class SalesOrderLine(BusinessModel):
    """A product, how much of it, and at what price; ``discount`` is a share of one. SKU and name are of that day."""

    order = models.ForeignKey(SalesOrder, models.PROTECT, related_name="lines")
    line_no = models.IntegerField()
    product = models.ForeignKey(ProductReplica, models.PROTECT, related_name="+")
    sku = models.CharField(max_length=60)
    product_name = models.CharField(max_length=200)
    quantity = models.DecimalField(max_digits=19, decimal_places=4)
    unit_price = money()
    discount = models.DecimalField(max_digits=9, decimal_places=6, default=Decimal(0))
    special_offer = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent is null)
    carrier_tracking_number = models.CharField(max_length=60, null=True)  # noqa: DJ001

    class Meta(BusinessModel.Meta):
        db_table = "sales_order_line"
        ordering = ["line_no"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "line_no"],
                name="sales_order_line_number_once",
                violation_error_message="The order has a line of this number.",
            ),
            models.CheckConstraint(
                condition=Q(line_no__gt=0),
                name="sales_order_line_number_positive",
                violation_error_message="Lines are numbered from one.",
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, quantity__lte=MAX_AMOUNT),
                name="sales_order_line_quantity_positive",
                violation_error_message="A quantity must be above zero.",
            ),
            models.CheckConstraint(
                condition=not_negative("unit_price"),
                name="sales_order_line_unit_price_not_negative",
                violation_error_message="A unit price cannot be negative.",
            ),
            models.CheckConstraint(
                condition=Q(discount__gte=0, discount__lte=1),
                name="sales_order_line_discount_share",
                violation_error_message="A discount is a share between 0 and 1.",
            ),
        ]

    @property
    def net(self) -> Decimal:
        return line_net(self.quantity, self.unit_price, self.discount)
