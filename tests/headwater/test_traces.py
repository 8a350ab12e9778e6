"""One POST is one trace: request, command, dispatch, inbox, what it caused, landing, marts, search, lake; real OTLP."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest

from headwater.state import PROJECT
from tests.headwater.otlp import Receiver, Span
from tests.stack import Stack, eventually


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture(scope="module")
def traced(receiver: Receiver) -> Iterator[Stack]:
    """A stack that sends its traces twice a second."""
    system = Stack(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "500"})
    try:
        system.up()
        yield system
    finally:
        system.close()


def traceparent() -> tuple[str, str]:
    """A browser's: (trace id, header)."""
    trace = secrets.token_hex(16)
    return trace, f"00-{trace}-{secrets.token_hex(8)}-01"


def complete(receiver: Receiver, trace: str, names: set[str]) -> list[Span]:
    """The trace once it holds spans of all these names."""
    deadline = time.monotonic() + 60  # the lake takes what is twenty seconds old
    while missing := names - {span.name for span in receiver.trace(trace)}:
        assert time.monotonic() < deadline, f"no span {missing}; there are {receiver.trace(trace)}"
        time.sleep(0.05)
    return receiver.trace(trace)


def test_one_post_is_one_trace_from_click_to_mart(traced: Stack, receiver: Receiver) -> None:
    trace, header = traceparent()
    status, made, _ = traced.call(
        "POST",
        "/api/contacts/accounts",
        {"name": "Traced Ltd", "account_type": "Customer"},
        token=traced.token(),
        headers={"traceparent": header},
    )
    assert status == 201
    spans = complete(
        receiver,
        trace,
        {
            "POST /api/contacts/accounts",
            "contacts.create_account",
            "dispatch",
            "inbox finance.account_profile",
            "inbox orders.account_profile",
            "landing",
            "refresh",
            "search",
            "lake",
        },
    )
    by_name = {span.name: span for span in spans}
    request, command = by_name["POST /api/contacts/accounts"], by_name["contacts.create_account"]
    assert request.parent == header.split("-")[2], "the click is the parent"
    assert request.attributes["http.response.status_code"] == 201
    assert command.parent == request.id
    assert command.attributes["headwater.status"] == 201
    assert by_name["dispatch"].parent == command.id
    assert by_name["inbox finance.account_profile"].parent == by_name["dispatch"].id
    assert command.id in {span.parent for span in spans if span.name == "landing"}
    for reader in ("refresh", "search", "lake"):
        assert by_name[reader].parent in {span.id for span in spans if span.name == "landing"}
    assert {span.process for span in spans} >= {
        "headwater-web",
        "headwater-dispatch",
        "headwater-jobs",
        "headwater-landing",
        "headwater-refresh",
        "headwater-search",
        "headwater-lake",
    }
    assert all(span.end >= span.start for span in spans)
    for span in spans:
        assert "Traced Ltd" not in str(span.attributes), "traces name no customer"
    assert made["name"] == "Traced Ltd"


def test_what_an_event_causes_belongs_to_the_same_trace(traced: Stack, receiver: Receiver) -> None:
    """Finance's hold reaches Contacts as an event, whose command sets the account's status: another command."""
    token = traced.token()
    body = {"name": "Held Ltd", "account_type": "Customer"}
    _, made, _ = traced.call("POST", "/api/contacts/accounts", body, token=token)
    key = made["account_uuid"]
    eventually(lambda: traced.call("GET", f"/api/finance/account-profiles/{key}", token=token)[0] == 200)
    trace, header = traceparent()
    status, answer, _ = traced.call(
        "POST",
        f"/api/finance/account-profiles/{key}/place-on-credit-hold",
        {"reason": "late"},
        token=token,
        headers={"traceparent": header},
    )
    assert status == 200, answer
    # Ids are no part of a span's name.
    asked = "POST /api/finance/account-profiles/{id}/place-on-credit-hold"
    spans = complete(receiver, trace, {"inbox contacts.account_status", "contacts.set_hold", asked})
    caused = next(span for span in spans if span.name == "contacts.set_hold")
    assert caused.process == "headwater-jobs"
    assert next(span for span in spans if span.id == caused.parent).name == "inbox contacts.account_status"


def test_the_audit_of_a_traced_write_names_its_trace(traced: Stack) -> None:
    trace, header = traceparent()
    body = {"name": "Audited Ltd", "account_type": "Customer"}
    traced.call("POST", "/api/contacts/accounts", body, token=traced.token(), headers={"traceparent": header})
    with psycopg.connect(traced.config.warehouse_url(), autocommit=True) as warehouse:
        found = (
            "select count(*) from log.transactions"
            " where command = 'contacts.create_account' and content ->> 'traceparent' like %s"
        )
        eventually(lambda: warehouse.execute(found, [f"00-{trace}-%"]).fetchone() == (1,), 30, "the audit message")


@pytest.mark.parametrize("broken", ["", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 5000])
def test_a_broken_traceparent_begins_a_trace_of_its_own(traced: Stack, broken: str) -> None:
    status, _, _ = traced.call(
        "GET", "/api/contacts/accounts?limit=1", token=traced.token(), headers={"traceparent": broken}
    )
    assert status == 200


def test_a_collector_that_is_away_delays_nobody(traced: Stack) -> None:
    """Spans are dropped, never waited for."""
    lonely = Stack(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    try:
        lonely.up()
        token = lonely.token()
        began = time.monotonic()
        for n in range(10):
            body = {"name": f"Patient {n}", "account_type": "Customer"}
            assert lonely.call("POST", "/api/contacts/accounts", body, token=token)[0] == 201
        assert time.monotonic() - began < 60, "one export alone is tried for about seven"
    finally:
        lonely.close()


def test_without_an_endpoint_no_write_carries_a_trace(stack: Stack) -> None:
    """Whatever the client sends: nobody would take it."""
    body = {"name": "Plain Ltd", "account_type": "Customer"}
    _, header = traceparent()
    token = stack.token()
    assert stack.call("POST", "/api/contacts/accounts", body, token=token, headers={"traceparent": header})[0] == 201
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        landed = "select count(*) from log.transactions where command = 'contacts.create_account'"
        eventually(lambda: warehouse.execute(landed).fetchone() != (0,), 30, "the audit message")
        traced = warehouse.execute("select count(*) from log.transactions where content ? 'traceparent'").fetchone()
        carried = warehouse.execute("select count(*) from log.batch where traceparents is not null").fetchone()
    assert traced == (0,)
    assert carried == (0,)


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    """Every room that makes spans, and the set-up itself, in a process of its own."""
    script = (
        "import sys; from headwater import telemetry, workers; import pipelines.dispatch.worker,"
        " pipelines.landing.worker, pipelines.refresh.worker, transactional.kernel.observing as observing;"
        " assert telemetry.configure('web') is None; assert observing.traceparent() is None;"
        " assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
