"""The OpenAPI document of the process that hosts the pages alone: every service's, as each tells it by itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx
import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from transactional.kernel.http.schema import openapi

TIMEOUT = 5.0


def document(request: HttpRequest) -> HttpResponse:
    """``GET /api/openapi.json``. A service that gives no answer is named in the description, and missing."""
    own = openapi(request)
    if settings.HEADWATER_SERVICES:
        return own
    whole: dict[str, Any] = orjson.loads(own.content)
    silent = []
    for service, base in settings.HEADWATER_SERVICE_URLS.items():
        try:
            told = orjson.loads(_told(base))
        except httpx.HTTPError:
            silent.append(service)
            continue
        prefix = f"/api/{service}/"
        whole["paths"] |= {path: item for path, item in told["paths"].items() if path.startswith(prefix)}
        for kind, found in told.get("components", {}).items():
            whole.setdefault("components", {}).setdefault(kind, {}).update(found)
    if silent:
        whole["info"]["description"] += f" Missing, as they give no answer: {', '.join(silent)}."
    return HttpResponse(orjson.dumps(whole), content_type="application/json")


@cache
def _told(base: str) -> bytes:
    """What does not change while the service runs; an answer that failed is asked for again."""
    return httpx.get(f"{base}/api/openapi.json", timeout=TIMEOUT, trust_env=False).raise_for_status().content
