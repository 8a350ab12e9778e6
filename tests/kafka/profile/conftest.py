"""The whole profile, running for as long as the tests of this folder do: idle it takes most of a core."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.headwater.otlp import Receiver
from tests.stack import Stack


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    """Takes the traces of requests that ask to be traced."""
    with Receiver() as listening:
        yield listening


@pytest.fixture(scope="package")
def kafka(receiver: Receiver) -> Iterator[Stack]:
    """The whole profile as a user starts it. Starting it takes a minute, so all who need it share one."""
    system = Stack(
        environment={
            # One test asks from one address, as fast as it can: no rate limit of people applies to it.
            "HEADWATER_GATEWAY_RATE": "5000",
            "HEADWATER_GATEWAY_LOGINS": "1000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0",
        }
    )
    try:
        system.run("up", "--detach", "--no-demo", "--no-dagster", "--profile", "kafka", timeout=1200)
        yield system
    finally:
        system.close()


@pytest.fixture(scope="package")
def tokens() -> list[tuple[float, str]]:
    """The last token and when it was bought: it lasts ten minutes, and buying one takes seconds on a busy machine."""
    return []


@pytest.fixture
def token(kafka: Stack, tokens: list[tuple[float, str]]) -> str:
    if not tokens or time.monotonic() - tokens[0][0] > 120:
        tokens[:] = [(time.monotonic(), kafka.token())]
    return tokens[0][1]
