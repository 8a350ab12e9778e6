"""A contact, an order or a product as the read side last saw it, for the time in which its service gives no answer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any
from uuid import UUID

from bi.reading import read
from policy.principal import Principal

_STATEMENT = (resources.files(__package__) / "record.sql").read_bytes()


def record(dsn: str, principal: Principal, object_type: str, key: UUID) -> tuple[Mapping[str, Any], str | None]:
    """The record laid out as its service's API does (without what can be done with it), and the moment (ISO) up to
    which everything is in it: the oldest source's, None where nothing landed yet.

    ``object_type`` is ``contacts.contact``, ``orders.sales_order`` or ``inventory.product``; an account has a read of
    its own. Raises Problem as ``bi.reading.read`` does.
    """
    document = read(dsn, principal, _STATEMENT, [key, object_type], permission=f"{object_type}.read", key=key)
    oldest = min((mark["as_of"] for mark in document["watermark"].values()), default=None)
    return document["record"], oldest
