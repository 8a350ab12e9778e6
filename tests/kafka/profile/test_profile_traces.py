"""One POST is one trace, though every service is a process of its own and its events travel over Kafka."""

from __future__ import annotations

import secrets

import pytest

from tests.headwater.otlp import Receiver, Span
from tests.kafka.profile.whole import WAIT, account_360
from tests.stack import Stack, eventually

pytestmark = pytest.mark.timeout(900)
"""The first test waits for the whole system to be prepared."""

NAMES = {
    "POST /api/contacts/accounts",
    "contacts.create_account",
    "dispatch",
    "inbox finance.account_profile",
    "inbox orders.account_profile",
    "landing",
    "refresh",
    "search",
    "lake",
}


def test_one_post_is_one_trace_through_gateway_services_and_kafka(kafka: Stack, token: str, receiver: Receiver) -> None:
    trace, click = secrets.token_hex(16), secrets.token_hex(8)
    status, made, _ = kafka.call(
        "POST",
        "/api/contacts/accounts",
        {"name": "Traced over Kafka", "account_type": "Customer"},
        token=token,
        headers={"traceparent": f"00-{trace}-{click}-01"},
    )
    assert status == 201, made
    account_360(kafka, token, made["account_uuid"])

    def whole() -> list[Span] | None:
        spans = receiver.trace(trace)
        orphans = {span.parent for span in spans} - {span.id for span in spans} - {click}
        return spans if {span.name for span in spans} >= NAMES and not orphans else None

    spans: list[Span] = eventually(whole, WAIT, f"spans {NAMES}, each below another")
    by_name = {span.name: span for span in spans}
    request, command = by_name["POST /api/contacts/accounts"], by_name["contacts.create_account"]
    assert (request.parent, request.process) == (click, "headwater-contacts")
    assert command.parent == request.id
    assert by_name["dispatch"].parent == command.id
    for consumer in ("finance", "orders"):
        inbox = by_name[f"inbox {consumer}.account_profile"]
        assert (inbox.parent, inbox.process) == (by_name["dispatch"].id, f"headwater-jobs-{consumer}")
    landings = [span for span in spans if span.name == "landing"]
    assert command.id in {span.parent for span in landings}
    for span in spans:
        assert "Traced over Kafka" not in str(span.attributes), "traces name no customer"


def test_nobody_is_traced_who_does_not_ask_for_it(kafka: Stack, token: str, receiver: Receiver) -> None:
    earlier = {span.trace for span in receiver.spans}
    trace = secrets.token_hex(16)
    assert kafka.call("GET", "/api/contacts/accounts?limit=1", token=token)[0] == 200
    header = f"00-{trace}-{secrets.token_hex(8)}-01"
    assert kafka.call("GET", "/api/contacts/accounts?limit=1", token=token, headers={"traceparent": header})[0] == 200
    eventually(lambda: receiver.trace(trace), WAIT, "the trace that was asked for")
    assert {span.trace for span in receiver.spans} - earlier == {trace}
