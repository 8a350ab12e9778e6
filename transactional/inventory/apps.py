"""Django app of the inventory service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class InventoryConfig(ServiceConfig):
    name = "transactional.inventory"
    label = "inventory"
