"""What people read of the catalogue."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from transactional.inventory.models import Product, ProductCategory, ProductPrice
from transactional.kernel.registry import Resource, resource


@resource(ProductCategory, path="product-categories", filters=("parent_id", "name"))
class ProductCategoryResource(Resource):
    """A branch of the catalogue."""

    id: UUID
    name: str
    parent_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


@resource(Product, path="products", filters=("sku", "category_id", "is_active"))
class ProductResource(Resource):
    """A product; ``list_price`` is the price in force."""

    id: UUID
    sku: str
    name: str
    category_id: UUID | None
    color: str | None
    size: str | None
    standard_cost: Decimal
    list_price: Decimal | None
    currency: str
    sell_start: date
    sell_end: date | None
    is_active: bool
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


@resource(ProductPrice, path="product-prices", filters=("product_id", "currency"))
class ProductPriceResource(Resource):
    """The price of a product from ``valid_from`` to ``valid_to``, both days included."""

    id: UUID
    product_id: UUID
    amount: Decimal
    currency: str
    valid_from: date
    valid_to: date | None
    version: int
    created_at: datetime
    updated_at: datetime
