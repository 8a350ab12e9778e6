"""Categories and products in bulk, as imports bring them."""

from __future__ import annotations

from uuid import UUID

from transactional.contracts.events import ProductCreated
from transactional.inventory.commands.categories import CreateProductCategory
from transactional.inventory.commands.products import CreateProduct, check_periods, new_prices, new_product
from transactional.inventory.models import Product, ProductCategory, ProductPrice
from transactional.kernel.bulk import ReferenceKey, Row, copy_rows
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.kernel.references import resolve
from transactional.kernel.registry import bulk


class BulkProductCategory(CreateProductCategory):
    """A category whose parent may be named by its key elsewhere; parents come before children."""

    parent_key: ReferenceKey | None = None


@bulk(
    BulkProductCategory,
    resource="inventory.product_category",
    permission="inventory.create_product_category",
)
def create_product_categories(ctx: Context, rows: list[Row[BulkProductCategory]]) -> None:
    keys = [row.cmd.parent_key for row in rows if row.cmd.parent_key is not None]
    known = resolve(ctx, "inventory.product_category", keys)
    parents = {row.cmd.parent_id for row in rows if row.cmd.parent_id is not None}
    present: set[UUID] = set(ProductCategory.objects.filter(pk__in=parents).values_list("pk", flat=True))
    made: list[ProductCategory] = []
    for row in rows:
        parent_id, key = row.cmd.parent_id, row.cmd.parent_key
        if key is not None:
            parent_id = known.get(key)
            if parent_id is None:
                row.reject("parent_key", "unknown", f"{key.source} has no category {key.key} here.")
                continue
        elif parent_id is not None and parent_id not in present:
            row.reject("parent_id", "unknown", f"There is no category {parent_id}.")
            continue
        category = ProductCategory(name=row.cmd.name, parent_id=parent_id)
        made.append(category)
        row.accept(category)
        if row.key is not None:
            known[row.key] = category.id
    copy_rows(made)


@bulk(CreateProduct, resource="inventory.product")
def create_products(ctx: Context, rows: list[Row[CreateProduct]]) -> None:
    named = {row.cmd.category_id for row in rows if row.cmd.category_id is not None}
    categories: set[UUID] = set(ProductCategory.objects.filter(pk__in=named).values_list("pk", flat=True))
    taken = set(Product.objects.filter(sku__in=[row.cmd.sku for row in rows]).values_list("sku", flat=True))
    products: list[Product] = []
    prices: list[ProductPrice] = []
    for row in rows:
        if row.cmd.category_id is not None and row.cmd.category_id not in categories:
            row.reject("category_id", "unknown", f"There is no category {row.cmd.category_id}.")
        if row.cmd.sku in taken:
            row.reject("sku", "taken", f"There is a product with SKU {row.cmd.sku}.")
        try:
            check_periods(row.cmd)
        except Invalid as refusal:
            for error in refusal.errors:
                row.reject(error.field, error.code, error.message)
        if not row.open:
            continue
        taken.add(row.cmd.sku)
        product = new_product(ctx, row.cmd)
        products.append(product)
        prices += new_prices(product, row.cmd)
        row.accept(product)
    copy_rows(products)
    copy_rows(prices)
    for product in products:
        ctx.emit(ProductCreated.of(product))
