"""Postal addresses for people to read."""

from __future__ import annotations

from collections.abc import Mapping


def one_line(address: Mapping[str, str | None] | None) -> str | None:
    """``1 Main St, Seattle, WA 98101, US``; None for an address without any part."""
    if not address:
        return None
    place = " ".join(filter(None, (address.get("region"), address.get("postal_code"))))
    parts = (address.get("line1"), address.get("line2"), address.get("city"), place, address.get("country"))
    return ", ".join(filter(None, parts)) or None
