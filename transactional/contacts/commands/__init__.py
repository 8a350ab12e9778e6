"""The only way to change accounts and contacts; importing this package registers every command."""

from __future__ import annotations

from transactional.contacts.commands import accounts, bulk, contacts, holds, links

__all__ = ["accounts", "bulk", "contacts", "holds", "links"]
