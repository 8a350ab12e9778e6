"""The kernel as a Django app: its tables are migrated into every service's schema."""

from __future__ import annotations

from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "transactional.kernel"
    label = "kernel"
