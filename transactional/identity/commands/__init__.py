"""The only way to change who works here; importing this package registers every command."""

from __future__ import annotations

from transactional.identity.commands import groups, places, users

__all__ = ["groups", "places", "users"]
