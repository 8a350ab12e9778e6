"""The catalogue: a tree of categories, products by SKU, and what a product costs in which period."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from transactional.kernel.base import BusinessModel, currency, money
from transactional.kernel.money import not_negative


class ProductCategory(BusinessModel):
    """A branch of the catalogue. A trigger keeps the tree free of cycles."""

    name = models.CharField(max_length=200)
    parent = models.ForeignKey("self", models.PROTECT, null=True, db_column="parent_id", related_name="children")

    class Meta(BusinessModel.Meta):
        db_table = "product_category"
        constraints = [
            models.UniqueConstraint(
                fields=["parent", "name"],
                name="product_category_name_once",
                nulls_distinct=False,
                violation_error_message="There is a category of this name here.",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("id")),
                name="product_category_parent_not_itself",
                violation_error_message="A category cannot be its own parent.",
            ),
        ]


class Product(BusinessModel):
    """A thing that is sold, made or used. ``list_price`` is the price in force, None where there is none."""

    sku = models.CharField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    category = models.ForeignKey(ProductCategory, models.PROTECT, null=True, db_column="category_id")
    color = models.CharField(max_length=60, null=True)  # noqa: DJ001 (absent is null)
    size = models.CharField(max_length=60, null=True)  # noqa: DJ001
    standard_cost = money(default=Decimal(0))
    list_price = money(null=True)
    currency = currency(default="USD")
    sell_start = models.DateField()
    sell_end = models.DateField(null=True)
    is_active = models.BooleanField(default=True)

    class Meta(BusinessModel.Meta):
        db_table = "product"
        constraints = [
            models.CheckConstraint(
                condition=not_negative("standard_cost"),
                name="product_standard_cost_not_negative",
                violation_error_message="A standard cost cannot be negative.",
            ),
            models.CheckConstraint(
                condition=not_negative("list_price", nullable=True),
                name="product_list_price_not_negative",
                violation_error_message="A list price cannot be negative.",
            ),
            models.CheckConstraint(
                condition=Q(sell_end__isnull=True) | Q(sell_end__gte=F("sell_start")),
                name="product_sell_end_after_start",
                violation_error_message="A product cannot be withdrawn before it is sold.",
            ),
        ]


class ProductPrice(BusinessModel):
    """The price from the first to the last day, both included; ``valid_to`` None is until further notice.

    A product has at most one price a day and currency: a deferred trigger refuses overlaps.
    """

    product = models.ForeignKey(Product, models.PROTECT, related_name="prices")
    amount = money()
    currency = currency()
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)

    class Meta(BusinessModel.Meta):
        db_table = "product_price"
        constraints = [
            models.CheckConstraint(
                condition=not_negative("amount"),
                name="product_price_amount_not_negative",
                violation_error_message="A price cannot be negative.",
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
                name="product_price_valid_to_after_from",
                violation_error_message="A price cannot end before it begins.",
            ),
        ]
        indexes = [models.Index(fields=["product", "currency", "valid_from"], name="product_price_period")]
