"""The application where its process hosts no service, and what it shows came over Kafka."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.stack import Stack
from tests.web.records.company import found
from tests.web.records.visitor import entering
from tests.web.walk import walk

pytestmark = pytest.mark.timeout(600)


def test_the_walk_is_the_same_over_kafka(kafka: Stack, chromium: Browser) -> None:
    with entering(chromium, kafka.url) as enter:
        walk(enter, found(kafka))
