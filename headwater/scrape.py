"""``/metrics`` of the web process, for whoever holds the scrape token."""

from __future__ import annotations

import hmac
import threading

from django.http import HttpRequest, HttpResponse

from headwater import config
from headwater.metrics import TOKEN, registry, token
from headwater.state import Home
from transactional.kernel.http.answers import refuse
from transactional.kernel.problems import Unauthenticated

_one_at_a_time = threading.Lock()


def scrape(request: HttpRequest) -> HttpResponse:
    """``GET /metrics`` with ``Authorization: Bearer <scrape token>``; 401 without it."""
    home = Home(config.home())
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not hmac.compare_digest(given.encode(), token(home).encode()):
        return refuse(Unauthenticated(f"Metrics need the scrape token, which stands in {TOKEN} of the home."), request)
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # 12 MB, for those who are scraped

    with _one_at_a_time:
        return HttpResponse(generate_latest(registry(home)), content_type=CONTENT_TYPE_LATEST)
