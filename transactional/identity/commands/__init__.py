"""The only way to change who works here; importing this package registers every command."""

from __future__ import annotations

from transactional.identity.commands import groups, own, places, users

__all__ = ["groups", "own", "places", "users"]
