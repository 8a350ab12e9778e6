"""Django app of the sample service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class ShelfConfig(ServiceConfig):
    name = "tests.transactional.kernel.shelf"
    label = "shelf"
