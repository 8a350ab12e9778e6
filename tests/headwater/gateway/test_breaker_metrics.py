"""What a web process says in ``/metrics`` of a service elsewhere that does not answer."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headwater.embedded.postgres import free_port
from tests.headwater.gateway.apart import Service
from tests.stack import Stack


@pytest.fixture
def without_identity(stack: Stack) -> Iterator[Service]:
    """Contacts and the application, told that identity lives where nobody does."""
    service = Service(
        stack,
        "contacts",
        HEADWATER_URL_IDENTITY=f"http://127.0.0.1:{free_port()}",
        HEADWATER_BREAKER_FAILURES="3",
        HEADWATER_BREAKER_REST="600",
    )
    service.start()
    yield service
    service.stop()


def samples(stack: Stack, service: Service) -> dict[tuple[str, str], float]:
    secret = httpx.get(f"{service.url}/metrics").status_code == 401 and (stack.home.root / "metrics.token").read_text()
    answer = httpx.get(f"{service.url}/metrics", headers={"Authorization": f"Bearer {str(secret).strip()}"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return {
        (sample.labels["service"], sample.labels.get("state") or sample.labels["outcome"]): sample.value
        for family in text_string_to_metric_families(answer.text)
        if family.name in ("headwater_service_breaker", "headwater_service_calls")
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_an_open_breaker_is_seen(stack: Stack, without_identity: Service) -> None:
    assert samples(stack, without_identity) == {}
    for _ in range(4):
        # A session is bought from identity, and once only: the purchase has no key.
        page = httpx.get(without_identity.url, cookies={"hw_session": "somebody"}, timeout=30)
        assert page.status_code == 503
    assert samples(stack, without_identity) == {
        ("identity", "closed"): 0.0,
        ("identity", "open"): 1.0,
        ("identity", "half_open"): 0.0,
        ("identity", "failed"): 3.0,
        ("identity", "refused"): 1.0,
    }
