"""An order from its first line to its last step, by mouse and keys; refusals beside the fields; new records by form."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from playwright.sync_api import expect

from tests.stack import eventually
from tests.web.records.company import Company, draft
from tests.web.records.visitor import LANDED, Visitor

Somebody = Callable[..., Visitor]


def test_an_order_is_written_confirmed_shipped_and_closed(somebody: Somebody, company: Company) -> None:
    alice, walt = somebody("alice"), somebody("walt")
    page = alice.page
    in_a_month = date.today() + timedelta(days=30)  # an order cannot be due before its own date, which is today
    due = f"{in_a_month.day} {in_a_month:%b %Y}"
    alice.open(f"/accounts/{company.ids['acme']}")
    page.get_by_role("link", name="New order").click()
    expect(page.get_by_label("Account", exact=True)).to_have_value(re.compile(r"^AC-\d{6} · Acme Bicycles$"))
    page.get_by_label("Due").fill(due)
    page.get_by_label("Freight").fill("1.234,5")
    page.get_by_role("button", name="Create order").click()
    expect(page.get_by_role("status")).to_contain_text("is there")
    expect(page.get_by_label("Key facts")).to_contain_text(due)
    expect(page.get_by_role("button", name="Confirm order")).to_have_accessible_description(
        "Add a line first: there is nothing to confirm."
    )

    page.wait_for_load_state()  # keys are listened to from then on
    page.keyboard.press("c")
    expect(page.get_by_label("Product", exact=True)).to_be_focused()
    page.keyboard.type("HL-U509")
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    lines = page.locator("#lines")
    expect(lines.locator("tbody tr")).to_have_count(1)
    expect(lines).to_contain_text("104.97")
    expect(lines.locator(".total")).to_contain_text("1,339.47")

    lines.get_by_role("link", name="Change line 1").click()
    lines.get_by_label("Discount").fill("10")
    lines.get_by_role("button", name="Save line").click()
    expect(lines.locator("tbody tr")).to_contain_text("94.47")

    lines.get_by_role("button", name="Take line 1 off").click()
    expect(lines).to_contain_text("No lines yet")
    page.get_by_role("button", name="Undo").click()
    expect(lines.locator("tbody tr")).to_contain_text("94.47")

    page.reload()
    alice.settled()
    page.get_by_role("button", name="Confirm order").click()
    expect(page.locator(".record-head .pill")).to_contain_text("Confirmed")
    expect(lines.get_by_role("link", name="Add line")).to_have_count(0)
    alice.well()

    walt.page.goto(page.url)
    walt.page.get_by_role("link", name="Ship order").click()
    dialog = walt.page.get_by_role("dialog")
    dialog.get_by_label("Shipped on").fill("1/1/2020")
    dialog.get_by_label("Tracking number").fill("4911-403C-98")
    dialog.get_by_role("button", name="Ship order").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The order is of")
    expect(dialog.get_by_label("Tracking number")).to_have_value("4911-403C-98")
    dialog.get_by_label("Shipped on").fill("today")
    dialog.get_by_role("button", name="Ship order").click()
    expect(walt.page.locator(".record-head .pill")).to_contain_text("Shipped")
    expect(walt.page.locator("#lines")).to_contain_text("4911-403C-98")

    page.reload()
    page.get_by_role("button", name="Close order").click()
    expect(page.locator(".record-head .pill")).to_contain_text("Closed")
    expect(page.locator(".record-head button:not(.copy-id), .record-head form")).to_have_count(1), "Related alone"


def test_cancelling_asks_first_and_tells_why(alice: Visitor, company: Company) -> None:
    order = draft(company, company.ids["acme"])
    alice.open(f"/orders/{order}")
    alice.page.get_by_role("link", name="Cancel order").click()
    dialog = alice.page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be taken up again")
    alice.accessible()
    dialog.get_by_role("link", name="Back").click()
    expect(dialog).to_have_count(0)
    expect(alice.page.get_by_role("link", name="Cancel order")).to_be_focused()
    alice.page.keyboard.press("Enter")
    dialog.get_by_label("Reason").fill("Ordered twice")
    alice.page.keyboard.press("Enter")
    expect(alice.page.locator(".record-head .pill")).to_contain_text("Cancelled")
    expect(alice.page.locator("#panel-history .entry-reason")).to_have_text("Ordered twice", timeout=LANDED)


def test_mistakes_in_a_form_are_told_beside_the_fields_and_above(alice: Visitor, company: Company) -> None:
    page = alice.page
    alice.open("/orders/new")
    page.get_by_label("Account", exact=True).fill("Nobody & Sons")
    page.get_by_label("Order date").fill("31/2")
    page.get_by_label("Freight").fill("lots")
    page.get_by_role("button", name="Create order").click()
    summary = page.locator(".summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("2 things to correct")
    summary.get_by_role("link").first.click()
    expect(page.get_by_label("Order date")).to_be_focused()
    expect(page.get_by_label("Account", exact=True)).to_have_value("Nobody & Sons")
    alice.accessible()
    alice.picture("form-with-mistakes")
    page.get_by_label("Order date").fill("28/2")
    page.get_by_label("Freight").fill("5")
    page.get_by_role("button", name="Create order").click()
    expect(summary).to_contain_text("There is no account Nobody & Sons")
    expect(page.get_by_label("Freight")).to_have_value("5")


def test_accounts_and_contacts_are_made_by_keys_alone(alice: Visitor, company: Company) -> None:
    page = alice.page
    alice.open("/accounts/new")
    page.get_by_label("Name").focus()
    page.keyboard.type("Keyboard Ltd")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keyboard Ltd")
    account = page.url.rpartition("/")[2]
    eventually(lambda: company.orders_know(account), 60)
    alice.open(f"/contacts/new?account={account}")
    page.get_by_label("Last name").focus()
    page.keyboard.type("Turing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Turing")
    expect(page.get_by_role("link", name="Keyboard Ltd")).to_be_visible()
    alice.well()


def test_what_is_typed_is_offered_from_the_index(alice: Visitor, company: Company) -> None:
    eventually(lambda: company.call("GET", "/api/search?q=helmet")["groups"], 60)
    alice.open(f"/orders/{company.ids['draft']}")
    alice.page.get_by_role("link", name="Add line").click()
    alice.page.get_by_label("Product", exact=True).press_sequentially("helm")
    offers = alice.page.locator("#lines datalist option")
    expect(offers.first).to_have_attribute("value", "HL-U509 · Mountain helmet")


def test_two_people_at_one_order_do_not_overwrite_each_other(alice: Visitor, company: Company) -> None:
    line = {"product_id": company.ids["helmet"], "quantity": "1"}
    order = draft(company, company.ids["acme"], lines=[line])
    alice.open(f"/orders/{order}")
    alice.page.get_by_role("link", name="Change line 1").click()
    alice.page.get_by_label("Quantity").fill("7")
    company.call("POST", f"/api/orders/sales-orders/{order}/update-line", {"line_no": 1, "quantity": "9"})
    alice.page.get_by_role("button", name="Save line").click()
    lines = alice.page.locator("#lines")
    expect(lines.get_by_role("alert")).to_contain_text("Somebody changed the order meanwhile")
    expect(lines.locator("tbody tr")).to_contain_text("9")
    expect(lines.get_by_label("Quantity")).to_have_value("7")
    lines.get_by_role("button", name="Save line").click()
    expect(lines.locator("tbody tr")).to_contain_text("244.93")
