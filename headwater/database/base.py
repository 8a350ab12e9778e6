"""The module that Django loads for ``ENGINE = "headwater.database"``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.backends.postgresql import base

from headwater import config


class DatabaseWrapper(base.DatabaseWrapper):
    """Connects to where the configuration says, at that moment, that the alias's service lives.

    ``headwater split`` ends every connection to the old database before it says so. So web and jobs need no restart,
    which would stop every other service too.
    """

    def get_connection_params(self) -> dict[str, Any]:
        service = self.alias.removesuffix("_owner")
        if not os.environ.get(f"HEADWATER_DB_{service.upper()}"):
            self._follow(service)
        return super().get_connection_params()

    def _follow(self, service: str) -> None:
        try:
            found = config.at(Path(settings.CONFIG.home))
        except config.ConfigError:  # doctor says so; nobody needs to stop working for it
            return
        if service in found.placements:
            place = urlsplit(found.service_url(service))
            self.settings_dict.update(HOST=place.hostname, PORT=place.port, NAME=place.path.strip("/"))
            settings.HEADWATER_SOURCES[service] = found.source_of(service)
