"""Asking the warehouse for a person, whose rights its row security then applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policy.principal import Principal
from policy.sql import claims
from warehouse import asking
from warehouse.asking import WarehouseUnavailable

__all__ = ["WarehouseUnavailable", "ask"]


def ask(dsn: str, principal: Principal, statement: bytes, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """``warehouse.asking.ask`` on behalf of ``principal``."""
    return asking.ask(dsn, claims(principal), statement, parameters)
