"""Django app of the identity service."""

from __future__ import annotations

from transactional.kernel.service import ServiceConfig


class IdentityConfig(ServiceConfig):
    name = "transactional.identity"
    label = "identity"

    def ready(self) -> None:
        super().ready()
        from transactional.identity import tokens  # needs the models, which exist only now
        from transactional.kernel import sessions

        sessions.provide(tokens)
