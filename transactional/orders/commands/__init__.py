"""The only way to change orders; importing this package registers every command."""

from __future__ import annotations

from transactional.orders.commands import drafts, fulfilment, imports, profiles, replicas

__all__ = ["drafts", "fulfilment", "imports", "profiles", "replicas"]
