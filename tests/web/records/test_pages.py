"""Pages of records: what stands on them for whom, without script too, and how each block fares when another fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.stack import eventually
from tests.web.records.company import HOSTILE, LONG, Company, draft
from tests.web.records.visitor import LANDED, Visitor, visit

Somebody = Callable[..., Visitor]


def test_an_account_with_everything_around_it(alice: Visitor, company: Company) -> None:
    alice.open(f"/accounts/{company.ids['acme']}")
    page = alice.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Acme Bicycles")
    expect(page.locator(".record-head .pill")).to_contain_text("Active")
    for label, text in (("Owner", "Alice Reyes"), ("Team", "Northern sales"), ("Territory", "North")):
        expect(page.locator(".fact", has_text=label).first).to_contain_text(text)
    expect(page.locator("#panel-contacts")).to_contain_text("Ann Lee")
    expect(page.locator("#panel-orders .order-row").first).to_be_visible()
    expect(page.locator("#panel-credit")).to_contain_text("10,000.00")
    expect(page.locator("#panel-hierarchy")).to_contain_text("Alpine Holding")
    for panel in page.locator(".panel").all():
        expect(panel.locator(".fresh")).to_contain_text("as of")
    alice.steady()
    alice.well()


def test_what_belongs_to_it_is_a_drawer_and_on_a_phone_a_page(somebody: Somebody, company: Company) -> None:
    tablet = somebody("alice", width=900)
    tablet.open(f"/accounts/{company.ids['acme']}")
    expect(tablet.page.locator("#panel-contacts")).to_be_hidden()
    tablet.page.get_by_role("button", name="Related").click()
    expect(tablet.page.locator("#panel-contacts")).to_contain_text("Ann Lee")
    tablet.accessible()
    tablet.picture("drawer-900")
    tablet.page.keyboard.press("Escape")
    expect(tablet.page.locator("#panel-contacts")).to_be_hidden()
    tablet.page.keyboard.press("c")
    tablet.page.wait_for_url("**/orders/new?account=*")
    phone = somebody("alice", width=360)
    phone.open(f"/accounts/{company.ids['acme']}")
    phone.page.get_by_role("link", name="Related").click()
    expect(phone.page.locator("#panel-contacts")).to_contain_text("Ann Lee")


def test_bob_may_not_and_charlie_does_not_learn_that_it_exists(somebody: Somebody, company: Company) -> None:
    bob, charlie = somebody("bob"), somebody("charlie")
    for path in (
        f"/accounts/{company.ids['acme']}",
        f"/accounts/{company.ids['acme']}/360",
        f"/accounts/{company.ids['acme']}/related",
        f"/accounts/{company.ids['acme']}/panels/credit",
        f"/accounts/{company.ids['acme']}/facts/industry",
        f"/contacts/{company.ids['ann']}",
        f"/orders/{company.ids['draft']}",
        f"/orders/{company.ids['draft']}/lines",
    ):
        assert bob.page.goto(bob.url + path).status == 403, path
        assert charlie.page.goto(charlie.url + path).status == 404, path
        assert "Acme" not in charlie.page.content()


def test_each_role_sees_its_own_buttons(somebody: Somebody, company: Company) -> None:
    acme = f"/accounts/{company.ids['acme']}"
    alice, dana = somebody("alice"), somebody("dana")
    alice.open(acme)
    expect(alice.page.get_by_role("button", name="Deactivate")).to_be_visible()
    expect(alice.page.get_by_text("Place on credit hold")).to_have_count(0)
    expect(alice.fact("finance", company.ids["acme"], "credit_limit").get_by_role("link")).to_have_count(0)
    dana.open(acme)
    expect(dana.page.get_by_text("Place on credit hold")).to_be_visible()
    expect(dana.page.get_by_role("button", name="Deactivate")).to_have_count(0)
    expect(dana.fact("account", company.ids["acme"], "industry").get_by_role("link")).to_have_count(0)


def test_a_hold_asks_for_a_reason_and_stops_orders_with_a_reason(somebody: Somebody, company: Company) -> None:
    held = company.account("Late Payers Inc")
    eventually(lambda: company.orders_know(held), 60)
    order = draft(company, held, lines=[{"product_id": company.ids["helmet"], "quantity": "1"}])
    dana, alice = somebody("dana"), somebody("alice")
    dana.open(f"/accounts/{held}")
    dana.page.get_by_role("link", name="Place on credit hold").click()
    dialog = dana.page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    dialog.get_by_role("button", name="Place on credit hold").click()
    assert dialog.get_by_label("Reason").evaluate("input => !input.checkValidity()"), "the reason is required"
    dialog.get_by_label("Reason").fill("Three invoices are late")
    dana.accessible()
    dialog.get_by_role("button", name="Place on credit hold").click()
    expect(dana.page.get_by_role("status")).to_contain_text("is on credit hold")
    expect(dana.page.locator("#panel-credit")).to_contain_text("Three invoices are late", timeout=LANDED)

    eventually(lambda: company.orders_know(held)["account_status"] == "On Hold", 60)
    alice.open(f"/orders/{order}")
    confirm = alice.page.get_by_role("button", name="Confirm order")
    expect(confirm).to_have_attribute("aria-disabled", "true")
    expect(confirm).to_have_accessible_description("Late Payers Inc is on hold. Finance releases the hold.")
    alice.open(f"/accounts/{held}")
    expect(alice.page.locator(".record-head .pill")).to_contain_text("On Hold")
    dana.page.reload()
    dana.page.get_by_role("button", name="Release credit hold").click()
    expect(dana.page.get_by_role("status")).to_contain_text("is released")


def test_what_cannot_be_done_twice_is_undone_at_once(alice: Visitor, company: Company) -> None:
    account = company.account("Sleepy Ltd")
    alice.open(f"/accounts/{account}")
    alice.page.get_by_role("button", name="Deactivate").click()
    expect(alice.page.locator(".record-head .pill")).to_contain_text("Inactive")
    alice.page.get_by_role("button", name="Undo").click()
    expect(alice.page.locator(".record-head .pill")).to_contain_text("Active")
    expect(alice.page.get_by_role("button", name="Deactivate")).to_be_visible()


def test_reading_and_writing_work_without_script(chromium: Browser, company: Company) -> None:
    account = company.account("Plain Ltd", industry="Retail")
    with visit(chromium, company.stack.url, java_script_enabled=False) as alice:
        alice.log_in("alice")
        page = alice.page
        page.goto(f"{alice.url}/accounts/{company.ids['acme']}")
        expect(page.locator("#panel-contacts")).to_contain_text("Ann Lee")
        page.get_by_role("link", name="Show history").click()
        expect(page.locator(".history")).to_contain_text("Created")
        page.goto(f"{alice.url}/accounts/{account}")
        page.get_by_role("link", name="Edit industry").click()
        page.get_by_label("Industry").fill("x" * 300)
        page.get_by_label("Industry").evaluate("input => input.removeAttribute('maxlength')")
        page.get_by_label("Industry").fill("x" * 300)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("200 characters")
        expect(page.get_by_label("Industry")).to_have_value("x" * 300)
        page.get_by_label("Industry").fill("Printing")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Key facts")).to_contain_text("Printing")
        expect(page.locator(".toast")).to_contain_text("Industry changed")


def test_what_people_type_is_text_everywhere(alice: Visitor, company: Company) -> None:
    account = company.account(
        HOSTILE,
        industry=HOSTILE,
        billing_address={"line1": HOSTILE, "city": HOSTILE},
        custom={"tier": HOSTILE, "<i>": HOSTILE},
    )
    contact = {"account_uuid": account, "first_name": HOSTILE, "last_name": HOSTILE, "job_title": HOSTILE}
    person = company.call("POST", "/api/contacts/contacts", contact | {"territory_id": company.ids["north"]})["id"]
    company.call(
        "POST", f"/api/contacts/accounts/{account}/update", {"industry": "calm"}, **{"Headwater-Reason": HOSTILE}
    )
    company.landed()
    for path in (
        f"/accounts/{account}",
        f"/accounts/{account}/contacts",
        f"/accounts/{account}/360",
        f"/contacts/{person}",
    ):
        alice.open(path)
        assert alice.page.locator("main img, main script").count() == 0, path
        assert HOSTILE in alice.page.locator("main").inner_text(), path
    alice.open(f"/accounts/{account}")
    box = alice.edit("account", account, "name")
    expect(box).to_have_value(HOSTILE)
    alice.well()


def test_very_long_names_stay_inside(somebody: Somebody, company: Company) -> None:
    name = (LONG + "x" * 200)[:200]
    account = company.account(name, industry="y" * 200)
    for width in (360, 1280):
        visitor = somebody("alice", width=width)
        visitor.open(f"/accounts/{account}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
        visitor.picture(f"long-{width}")


def test_an_account_without_anything_says_what_will_stand_there(alice: Visitor, company: Company) -> None:
    for tab, words in (("orders", "No orders yet"), ("contacts", "No contacts yet"), ("360", "No sales yet")):
        alice.open(f"/accounts/{company.ids['empty']}/{tab}")
        expect(alice.page.get_by_role("heading", name=words)).to_be_visible()
        alice.accessible()
        alice.picture(f"empty-{tab}")


def test_one_broken_panel_leaves_the_rest_alone(alice: Visitor, company: Company) -> None:
    with psycopg.connect(company.stack.config.warehouse_url(), autocommit=True) as owner:
        owner.execute("revoke select on raw_finance.account_profile from wh_api")
        try:
            alice.open(f"/accounts/{company.ids['acme']}")
            credit = alice.page.locator("#panel-credit")
            expect(credit).to_contain_text("This part could not be shown")
            expect(alice.page.locator("#panel-contacts")).to_contain_text("Ann Lee")
            expect(alice.page.locator("#panel-history .entry").first).to_be_visible()
            alice.picture("broken-panel")
        finally:
            owner.execute("grant select on raw_finance.account_profile to wh_api")
    credit.get_by_role("link", name="Try again").click()
    expect(credit).to_contain_text("10,000.00")


def test_a_silent_service_leaves_its_records_readable(alice: Visitor, company: Company) -> None:
    acme = company.ids["acme"]
    with silenced(company, "contacts"):
        alice.open(f"/accounts/{acme}")
        expect(alice.page.get_by_role("heading", level=1)).to_have_text("Acme Bicycles")
        note = alice.page.locator("main .note.warn").first
        expect(note).to_contain_text("Contacts gives no answer")
        expect(alice.fact("account", acme, "industry").get_by_role("link")).to_have_count(0)
        expect(alice.page.get_by_role("button", name="Deactivate")).to_have_attribute("aria-disabled", "true")
        expect(alice.page.locator("#panel-orders .order-row").first).to_be_visible()
        alice.accessible()
        alice.picture("silent-contacts")
    alice.open(f"/accounts/{acme}")
    expect(alice.fact("account", acme, "industry").get_by_role("link")).to_be_visible()


@pytest.mark.parametrize(
    ("service", "path", "heading", "shown", "fact"),
    [
        ("orders", "/orders/{draft}", "Order SO-", "Mountain", ("order", "{draft}", "channel")),
        ("contacts", "/contacts/{ann}", "Ann Lee", "ann.lee@acme.example", ("contact", "{ann}", "phone")),
        ("inventory", "/products/{bike}", "Mountain bike", "BK-M68B", ("product", "{bike}", "color")),
    ],
)
def test_what_a_silent_service_keeps_is_read_from_the_read_side(
    alice: Visitor,
    company: Company,
    service: str,
    path: str,
    heading: str,
    shown: str,
    fact: tuple[str, str, str],
) -> None:
    page, place = alice.page, path.format(**company.ids)
    kind, key, name = (part.format(**company.ids) for part in fact)
    alice.open(place)
    before = page.evaluate(_SAID)
    assert before
    with silenced(company, service):
        alice.open(place)
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        expect(page.locator("main .note.warn").first).to_contain_text(f"{service.capitalize()} gives no answer")
        expect(page.locator("main")).to_contain_text(shown)
        assert page.evaluate(_SAID) == before
        expect(alice.fact(kind, key, name)).to_be_visible()
        expect(alice.fact(kind, key, name).get_by_role("link")).to_have_count(0)
        expect(page.locator("main :is(a[data-ask], form[method=post] button)")).to_have_count(0)
        alice.accessible()
        alice.picture(f"silent-{service}-{kind}")
    if service == "contacts":
        noted = "select actor_name, action from identity.access_log where kind = 'read' and resource_id = %s"
        with psycopg.connect(company.stack.config.service_url("identity", role="postgres")) as identity:
            assert ("alice", "contacts.contact.read") in identity.execute(noted, [key]).fetchall()
    alice.open(place)
    expect(page.locator("main .note.warn")).to_have_count(0)


_SAID = """
() => [...document.querySelectorAll("main .card .fact")].map((fact) =>
    [fact.querySelector("dt"), fact.querySelector(".fact-link, .fact-edit > span") ?? fact.querySelector("dd")]
      .map((part) => part.textContent.trim()).join(": "))
  .concat([...document.querySelectorAll("#lines tbody :is(th, td:not(.row-buttons)), #lines .sums dd")].map((cell) =>
    cell.textContent.trim()))
"""
"""What every fact says and, of an order, every line."""


def test_a_record_of_a_silent_service_is_nobody_elses(somebody: Somebody, company: Company) -> None:
    charlie = somebody("charlie")
    for service, path in (
        ("orders", f"/orders/{company.ids['draft']}"),
        ("contacts", f"/contacts/{company.ids['ann']}"),
    ):
        with silenced(company, service):
            answer = charlie.page.goto(charlie.url + path)
            assert answer is not None
            assert answer.status == 404
            assert "Lee" not in charlie.page.locator("main").inner_text()


def test_what_was_typed_outlives_a_service_that_falls_silent(alice: Visitor, company: Company) -> None:
    account = company.account("Outage Ltd", industry="Retail")
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Kept through the outage")
    fact = alice.fact("account", account, "industry")
    with silenced(company, "contacts"):
        alice.page.keyboard.press("Enter")
        expect(alice.page.get_by_role("alert").first).to_contain_text("gives no answer")
        expect(fact.get_by_label("Industry")).to_have_value("Kept through the outage")
    fact.get_by_label("Industry").press("Enter")
    expect(fact.get_by_role("link")).to_contain_text("Kept through the outage")


@contextmanager
def silenced(company: Company, service: str) -> Iterator[None]:
    """The service's database refuses it."""
    config = company.stack.config
    with psycopg.connect(config.url(config.oltp, "postgres", "postgres"), autocommit=True) as server:
        server.execute(f"alter role hw_{service} nologin".encode())
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [f"hw_{service}"])
        try:
            yield
        finally:
            server.execute(f"alter role hw_{service} login".encode())


@contextmanager
def stopped(company: Company, name: str) -> Iterator[None]:
    """The process stands still, as one that is busy or hangs."""
    pid = company.stack.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_panels_say_updating_until_they_hold_ones_own_write(alice: Visitor, company: Company) -> None:
    account = company.account("Patience Ltd", industry="Retail")
    company.landed()
    alice.open(f"/accounts/{account}")
    with stopped(company, "landing"):
        alice.edit("account", account, "industry").fill("Watches")
        alice.page.keyboard.press("Enter")
        expect(alice.fact("account", account, "industry")).to_contain_text("Watches")
        history = alice.page.locator("#panel-history")
        expect(history.locator(".updating")).to_be_visible()
        expect(history.locator(".entry", has_text="Watches")).to_have_count(0)
        alice.picture("updating")
    expect(history.locator(".entry", has_text="Watches")).to_have_count(1, timeout=LANDED)
    expect(history.locator(".updating")).to_have_count(0, timeout=LANDED)
    alice.well()


def test_older_history_is_loaded_on_request(alice: Visitor, company: Company) -> None:
    account = company.account("Busy Ltd")
    for number in range(60):
        company.call("POST", f"/api/contacts/accounts/{account}/update", {"industry": f"Trade {number}"})
    company.landed()
    alice.open(f"/accounts/{account}")
    history = alice.page.locator("#panel-history")
    expect(history.locator(".entry")).to_have_count(50)
    history.get_by_role("link", name="Show older").click()
    expect(history.locator(".entry", has_text="Create account")).to_have_count(1)
    expect(history.get_by_role("link", name="Show older")).to_have_count(0)
    assert history.locator(".entry").count() in (61, 62)


def test_totals_lead_to_their_rows(alice: Visitor, company: Company) -> None:
    alice.open(f"/accounts/{company.ids['acme']}/360")
    bar = alice.page.get_by_role("link", name="2024: 11,599.95 USD, 1 order")
    bar.focus()
    expect(bar).to_be_focused()
    alice.page.keyboard.press("Enter")
    alice.page.wait_for_url("**/orders?**")
    expect(alice.page.locator("tbody tr")).to_have_count(1)
    expect(alice.page.locator("main")).to_contain_text("11,599.95")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_is_accessible_steady_and_within_its_policy(
    somebody: Somebody, company: Company, width: int, scheme: str
) -> None:
    erin = somebody("erin", width=width, scheme=scheme)
    ids = company.ids
    for name, path in (
        ("account", f"/accounts/{ids['acme']}"),
        ("account-orders", f"/accounts/{ids['acme']}/orders"),
        ("account-contacts", f"/accounts/{ids['acme']}/contacts"),
        ("account-360", f"/accounts/{ids['acme']}/360"),
        ("account-related", f"/accounts/{ids['acme']}/related"),
        ("contact", f"/contacts/{ids['ann']}"),
        ("order-draft", f"/orders/{ids['draft']}"),
        ("order-closed", f"/orders/{ids['closed']}"),
        ("product", f"/products/{ids['bike']}"),
        ("new-account", "/accounts/new"),
        ("new-order", f"/orders/new?account={ids['acme']}"),
    ):
        erin.open(path)
        erin.accessible()
        erin.steady()
        assert erin.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
        erin.picture(f"{name}-{width}-{scheme}")
    erin.well()
