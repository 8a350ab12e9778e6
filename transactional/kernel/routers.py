"""Finds the database of a model: the alias is the app's label. The kernel's tables have no home of their own."""

from __future__ import annotations

from typing import Any

from django.db import models

OWNER_SUFFIX = "_owner"


class ServiceRouter:
    """Runtime queries of app ``x`` use alias ``x``; migrations of ``x`` and of the kernel's tables use ``x_owner``."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        label = model._meta.app_label
        return None if label == "kernel" else label

    db_for_write = db_for_read

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool:
        return one._meta.app_label == other._meta.app_label

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        service = db.removesuffix(OWNER_SUFFIX)
        return db.endswith(OWNER_SUFFIX) and app_label in (service, "kernel")
