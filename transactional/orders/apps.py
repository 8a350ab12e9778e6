"""Django app of the orders service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class OrdersConfig(ServiceConfig):
    name = "transactional.orders"
    label = "orders"
