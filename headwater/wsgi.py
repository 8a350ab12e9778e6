"""The WSGI application that granian serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from headwater import telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headwater.settings")

# A service that has a process of its own is called by its name.
_hosted = os.environ.get("HEADWATER_SERVICES", "")
application = telemetry.traced(
    get_wsgi_application(), telemetry.configure(_hosted if _hosted and "," not in _hosted else "web")
)
