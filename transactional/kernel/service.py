"""The base of a service's app configuration."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig

MODULES = ("resources", "commands", "handlers", "timers")
"""Modules whose import registers what they declare."""


class ServiceConfig(AppConfig):
    """A write service: ``label`` is its name, schema and database alias."""

    default = False  # of two configurations in a service's ``apps`` Django takes the one that is the default

    def __init_subclass__(cls) -> None:
        cls.default = True

    def ready(self) -> None:
        from transactional.kernel import revocation  # needs the kernel's models, which exist only now

        revocation.subscribe(self.label)
        for module in MODULES:
            name = f"{self.name}.{module}"
            if find_spec(name) is not None:
                import_module(name)
