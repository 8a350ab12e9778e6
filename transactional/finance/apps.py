"""Django app of the finance service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class FinanceConfig(ServiceConfig):
    name = "transactional.finance"
    label = "finance"
