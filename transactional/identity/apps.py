"""Django app of the identity service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class IdentityConfig(ServiceConfig):
    name = "transactional.identity"
    label = "identity"
