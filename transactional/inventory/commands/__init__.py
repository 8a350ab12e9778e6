"""The only way to change the catalogue; importing this package registers every command."""

from __future__ import annotations

from transactional.inventory.commands import bulk, categories, prices, products

__all__ = ["bulk", "categories", "prices", "products"]
