"""The Stream page in a browser over a whole installation: own edits pass, kills show, parked work is replayed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from headwater.state import PROJECT
from tests.stack import Stack, eventually
from tests.web.records.visitor import LANDED

pytestmark = pytest.mark.timeout(240)
PICTURES = PROJECT / "build" / "pictures" / "stream"
AXE = PROJECT / "tests" / "tools" / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "correct-horse-battery"
SIZES = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]
Enter = Callable[..., Page]


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token()


@pytest.fixture(scope="module")
def people(stack: Stack, token: str) -> None:
    """Alice audits, Bob leads sales, Charlie administers."""
    for name, role in (("alice.audits", "auditor"), ("bob.sells", "sales_manager"), ("charlie.runs", "admin")):
        user = {"username": name, "display_name": name, "password": PASSWORD, "roles": [role]}
        status, _, _ = stack.call("POST", "/api/identity/users", user, token=token)
        assert status in (201, 409, 422)


@pytest.fixture
def enter(stack: Stack, people: None, chromium: Browser) -> Iterator[Enter]:
    """A page of somebody's own, logged in; what the browser complains about fails the test."""
    contexts, complaints = [], []

    def open_(username: str, *, width: int = 1280, scheme: Any = "light", **more: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{stack.url}/login")
        page.fill("[name=login_username]", username)
        page.fill("[name=login_password]", PASSWORD)
        page.press("[name=login_password]", "Enter")
        page.wait_for_url(f"{stack.url}/")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [words for words in complaints if "403" not in words] == []


@contextmanager
def warehouse(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.config.warehouse_url("postgres"), autocommit=True) as connection:
        yield connection


def account(stack: Stack, token: str, name: str) -> str:
    status, made, _ = stack.call("POST", "/api/contacts/accounts", {"name": name}, token=token)
    assert status == 201
    return str(made["account_uuid"])


def own_token(stack: Stack) -> str:
    login = {"username": "charlie.runs", "password": PASSWORD}
    _, answer, _ = stack.call("POST", "/api/identity/token", login, token="")
    return str(answer.get("token") or answer.get("access_token"))


def test_ones_own_edit_passes_within_seconds_of_it(stack: Stack, enter: Enter) -> None:
    page = enter("charlie.runs")
    page.goto(f"{stack.url}/stream")
    key = account(stack, own_token(stack), "Passing by")
    passing = page.get_by_role("region", name="Changes")
    row = passing.get_by_role("row").filter(has_text="contacts.account").filter(has_text="contacts.create_account")
    expect(row.first).to_contain_text("you")
    expect(row.first.get_by_role("link")).to_have_attribute("href", f"/accounts/{key}")
    assert re.search(r"\d+ ms|\d\.\d s", row.first.inner_text())


def test_pause_holds_the_page_still_by_key_and_by_mouse(stack: Stack, token: str, enter: Enter) -> None:
    page = enter("alice.audits")
    page.goto(f"{stack.url}/stream")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)
    assert not [url for url in asked if url.endswith("/stream/live")]
    with page.expect_response("**/stream/live"):
        page.get_by_role("button", name="Go on").click()
    page.get_by_text("As a table").click()
    with page.expect_response("**/stream/live"):
        pass
    page.wait_for_timeout(100)
    expect(page.get_by_role("region", name="Changes landed by ten seconds")).to_be_visible()


def test_a_killed_worker_shows_when_how_and_after_how_long_it_was_back(stack: Stack, enter: Enter) -> None:
    page = enter("alice.audits")
    killed = stack.kill("dispatch")
    eventually(lambda: stack.pid("dispatch") not in (None, killed), what="dispatch runs again")
    page.goto(f"{stack.url}/stream")
    row = page.get_by_role("region", name="Processes in detail").get_by_role("row").filter(has_text="dispatch")
    expect(row).to_contain_text("SIGKILL", timeout=LANDED)
    expect(row).to_contain_text(re.compile(r"Running.*SIGKILL.*\d+(\.\d)? (ms|s)$"), timeout=LANDED)


def test_what_the_mirror_refused_is_replayed_by_whoever_may(stack: Stack, token: str, enter: Enter) -> None:
    with warehouse(stack) as connection:
        connection.execute("alter table raw_contacts.account add constraint no_such_name check (name <> 'Refused')")
        try:
            account(stack, token, "Refused")
            eventually(lambda: connection.execute("select count(*) from log.parked").fetchone() == (1,), 30)
            auditor = enter("alice.audits")
            auditor.goto(f"{stack.url}/stream")
            parked = auditor.get_by_role("region", name="Parked items")
            expect(parked).to_contain_text("no_such_name")
            expect(parked).to_contain_text("an administrator replays")
            assert auditor.get_by_role("button", name="Replay").count() == 0
            seller = enter("bob.sells")
            assert seller.goto(f"{stack.url}/stream").status == 403
            page = enter("charlie.runs")
            page.goto(f"{stack.url}/stream")
            page.get_by_role("button", name="Replay contacts.account").focus()
            page.keyboard.press("Enter")
            expect(page.locator("#toasts")).to_contain_text("then refused again")
        finally:
            connection.execute("alter table raw_contacts.account drop constraint no_such_name")
        page.get_by_role("button", name="Replay contacts.account").click()
        expect(page.locator("#toasts")).to_contain_text("1 changes applied")
        expect(page.locator("#stream-parked")).to_contain_text("Nothing is parked.")
        assert connection.execute("select count(*) from log.parked").fetchone() == (0,)
        landed = "select count(*) from raw_contacts.account where name = 'Refused'"
        assert connection.execute(landed).fetchone() == (1,)


def test_it_reads_and_replays_without_script(stack: Stack, token: str, enter: Enter) -> None:
    with warehouse(stack) as connection:
        connection.execute(
            "insert into ops.parked_key (model, key, error, retry_at)"
            " values ('dim_account', '*', 'test', now() + interval '1 hour')"
        )
        page = enter("charlie.runs", java_script_enabled=False)
        page.goto(f"{stack.url}/stream")
        expect(page.get_by_role("heading", name="Passing now")).to_be_visible()
        expect(page.get_by_role("button", name="Pause")).to_be_hidden()
        replay = page.get_by_role("button", name="Replay dim_account")
        # What is parked is remembered for a second, and a page without script looks again only when asked.
        eventually(lambda: replay.count() or page.get_by_role("link", name="Look again").click() or replay.count(), 20)
        replay.click()
        expect(page).to_have_url(f"{stack.url}/stream")
        expect(page.locator("#toasts")).to_contain_text("dim_account: 1 keys are tried again now.")
        eventually(lambda: connection.execute("select count(*) from ops.parked_key").fetchone() == (0,), 60)


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_it_is_accessible_and_fits(stack: Stack, token: str, enter: Enter, width: int, scheme: str) -> None:
    account(stack, token, f"Seen at {width} in {scheme}")
    with warehouse(stack) as connection:
        connection.execute(
            "insert into ops.parked_key (model, key, error, retry_at)"
            " values ('dim_product', '*', 'test', now() + interval '1 hour') on conflict do nothing"
        )
    page = enter("charlie.runs", width=width, scheme=scheme)
    page.goto(f"{stack.url}/stream")
    expect(page.get_by_role("region", name="Changes").get_by_role("row").nth(1)).to_be_visible()
    expect(page.get_by_role("region", name="Parked items")).to_contain_text("dim_product")
    page.keyboard.press("p")
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"stream-{scheme}-{width}.png", full_page=True)


def test_a_refusal_says_whose_it_was(stack: Stack, enter: Enter) -> None:
    seller = enter("bob.sells")
    assert seller.goto(f"{stack.url}/stream").status == 403
    page = enter("alice.audits")
    page.goto(f"{stack.url}/stream")
    row = page.get_by_role("region", name="Changes").get_by_role("row").filter(has_text="identity.access_log")
    expect(row.filter(has_text="bob.sells").first).to_contain_text("login", timeout=LANDED)
