"""Categories: create, rename, move."""

from __future__ import annotations

from uuid import UUID

from transactional.contracts.base import UNSET, Command
from transactional.contracts.types import Text
from transactional.inventory.models import ProductCategory
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.kernel.registry import command
from transactional.kernel.trees import lock_tree


class CreateProductCategory(Command):
    """Create a category, below another one or at the top."""

    name: Text
    parent_id: UUID | None = None


@command(CreateProductCategory, resource="inventory.product_category")
def create_product_category(ctx: Context, cmd: CreateProductCategory) -> ProductCategory:
    check_category(cmd.parent_id, "parent_id")
    category = ProductCategory(name=cmd.name, parent_id=cmd.parent_id)
    category.save()
    return category


class UpdateProductCategory(Command):
    """Rename a category or move it with everything below it. Fields left out stay; null moves it to the top."""

    id: UUID
    name: Text = UNSET
    parent_id: UUID | None = UNSET


@command(UpdateProductCategory, resource="inventory.product_category", target="id")
def update_product_category(ctx: Context, cmd: UpdateProductCategory) -> ProductCategory:
    values = cmd.given()
    if "parent_id" in values:
        lock_tree("inventory", "product_category")
    category = ProductCategory.objects.for_update(ctx, cmd.id)
    if values.get("parent_id") == category.pk:
        raise Invalid("parent_id", "cycle", f"Category {category.name} would become its own ancestor.")
    check_category(values.get("parent_id"), "parent_id")
    category.change(**values)
    return category


def check_category(category_id: UUID | None, field: str) -> None:
    """Invalid names ``field`` if there is no such category; None is none."""
    if category_id is not None and not ProductCategory.objects.filter(pk=category_id).exists():
        raise Invalid(field, "unknown", f"There is no category {category_id}.")
