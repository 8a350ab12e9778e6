"""List pages at a real browser: views, filters, order, columns, pages, choosing and doing, the file to take away."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Route, expect

from tests.stack import eventually
from tests.web.records.company import HOSTILE, LONG, Company
from tests.web.records.visitor import Visitor

Somebody = Callable[..., Visitor]
FORMULA = '=HYPERLINK("http://evil.example";"click")'


@pytest.fixture(scope="module")
def many(company: Company) -> Company:
    """The company with sixty accounts more, some with names that are long, hostile or formulas."""
    for number in range(57):
        company.account(f"Row {number:02}", industry="Retail" if number % 3 else "Bikes")
    for name in (LONG[:200], HOSTILE, FORMULA):
        company.account(name)
    company.landed()
    return company


def rows(who: Visitor) -> Locator:
    return who.page.locator("tr[data-row]")


def test_a_filter_reads_as_a_sentence_and_the_address_holds_it(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts")
    page.get_by_role("button", name="Filter").click()
    page.locator("#add-filter summary", has_text="Industry").click()
    page.get_by_label("Contains").locator("visible=true").fill("bik")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text("Industry contains bik")
    page.wait_for_url("**/accounts?industry.has=bik")
    expect(rows(alice)).to_have_count(19)
    alice.picture("list-filtered")
    alice.accessible()
    page.reload()
    expect(rows(alice)).to_have_count(19)
    page.get_by_role("link", name="Remove filter").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.go_back()
    expect(page.locator(".chip")).to_have_text("Industry contains bik")
    alice.well()


def test_a_filter_that_cannot_be_read_says_so_and_filters_nothing(alice: Visitor, many: Company) -> None:
    alice.open("/accounts?revenue.min=lots&sort=nonsense&after=forged&col=nothing&status=Sunk")
    expect(alice.page.get_by_text("Annual revenue: Enter a number")).to_be_visible()
    expect(alice.page.get_by_text("There is no status “Sunk”")).to_be_visible()
    expect(rows(alice)).to_have_count(50)
    alice.well()


def test_pages_forth_and_back_by_keyboard(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts")
    first = rows(alice).first.inner_text()
    expect(rows(alice)).to_have_count(50)
    page.keyboard.press("]")
    page.wait_for_url("**after=**")
    expect(rows(alice).first).not_to_have_text(first)
    page.keyboard.press("[")
    page.wait_for_url("**before=**")
    assert rows(alice).first.inner_text() == first
    alice.well()


def test_order_columns_and_totals(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts")
    page.get_by_role("link", name="Sales USD").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Sales")
    assert rows(alice).first.locator("th").inner_text() == "Acme Bicycles"
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("City").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("thead th", has_text="City")).to_be_visible()
    expect(rows(alice).first).to_contain_text("Seattle")
    expect(page.locator("tfoot")).to_contain_text("accounts")
    expect(page.locator("tfoot")).to_contain_text("23,199.90")
    alice.well()


def test_a_view_is_kept_changed_and_removed_with_undo(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts?industry.has=bik")
    page.get_by_role("button", name="Keep as view").click()
    page.get_by_label("Name of the view").fill("Bike people")
    page.keyboard.press("Enter")
    tab = page.get_by_role("navigation", name="Views").get_by_role("link", name="Bike people")
    expect(tab).to_have_attribute("aria-current", "page")
    page.get_by_label("Find in accounts").fill("Row 0")
    page.keyboard.press("Enter")
    expect(tab).to_contain_text("changed")
    page.get_by_role("button", name="Keep changes").click()
    expect(tab).not_to_contain_text("changed")
    expect(page.locator(".chip")).to_have_count(1)
    alice.picture("list-own-view")
    page.get_by_role("button", name="Remove view").click()
    expect(tab).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(tab).to_be_visible()
    expect(tab).to_have_attribute("aria-current", "page")
    alice.well()


def test_views_are_each_persons_own(somebody: Somebody, many: Company) -> None:
    charlie = somebody("charlie")
    charlie.open("/accounts")
    expect(charlie.page.get_by_role("navigation", name="Views")).not_to_contain_text("Bike people")
    expect(rows(charlie)).to_have_count(0)


def test_rows_are_chosen_by_keyboard_and_done_at_once_with_a_verdict_each_and_undo(
    alice: Visitor, many: Company
) -> None:
    page = alice.page
    many.call("POST", f"/api/contacts/accounts/{_account(many, 'Row 41')}/deactivate", {})
    many.landed()
    alice.open("/accounts?q=Row+4&sort=name")
    page.keyboard.press("j")
    expect(page.locator("tr.here")).to_contain_text("Row 40")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Chosen rows")).to_contain_text("2 chosen")
    alice.picture("list-chosen")
    alice.accessible()
    page.get_by_role("button", name="Deactivate").click()
    outcome = page.get_by_role("region", name="1 account deactivated, 1 refused")
    expect(outcome).to_contain_text("Row 41")
    alice.picture("list-outcome")
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    eventually(lambda: _status(many, "Row 40") == "Active", 20, "the undo is done")
    assert _status(many, "Row 41") == "Inactive"
    alice.settled()
    alice.well()


def test_a_list_says_updating_until_it_holds_ones_own_write(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts?q=Row+50")
    page.get_by_label("Choose Row 50").check()
    bar = page.get_by_role("region", name="Chosen rows")
    bar.get_by_label("Owner").select_option(label="Me")
    bar.get_by_role("button", name="Assign").click()
    expect(page.get_by_text("1 account assigned").first).to_be_visible()
    alice.settled()
    alice.open("/accounts?mine=1")
    expect(rows(alice).filter(has_text="Row 50")).to_have_count(1)
    alice.well()


def test_a_command_that_was_sent_is_waited_for_whatever_is_clicked_meanwhile(alice: Visitor, many: Company) -> None:
    page = alice.page
    _choose_new(alice, many, "Turn one")
    sent: list[Route] = []
    page.route("**/accounts/bulk", lambda route: sent.append(route))
    page.get_by_role("button", name="Deactivate").click()
    eventually(lambda: sent or page.wait_for_timeout(50), 15, "the command is sent")
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    sent[0].continue_()
    expect(page.get_by_text("1 account deactivated").first).to_be_visible()
    assert "sort=" not in page.url
    alice.settled()
    alice.well()


def test_an_answer_that_is_older_than_a_change_is_asked_for_again(alice: Visitor, many: Company) -> None:
    page = alice.page
    _choose_new(alice, many, "Turn two")
    page.get_by_role("button", name="Deactivate").click()
    undo = page.get_by_role("status").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    undo.focus()  # it stays while it is
    alice.settled()
    asked: list[Route] = []
    page.route("**/accounts?*sort=*", lambda r: asked.append(r) if not asked else r.continue_())
    # Clicked from within, so that the focus stays.
    page.get_by_role("columnheader", name="Name").get_by_role("link").evaluate("link => link.click()")
    eventually(lambda: asked or page.wait_for_timeout(50), 15, "the order is asked for")
    older = asked[0].fetch()
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        undo.click()
    page.wait_for_timeout(300)
    asked[0].fulfill(response=older)
    expect(page).to_have_url(re.compile("sort="))
    alice.settled()
    expect(rows(alice)).to_contain_text("Active")
    alice.well()


def test_names_are_text_however_hostile_and_long(alice: Visitor, many: Company) -> None:
    alice.open("/accounts?sort=-created")
    expect(alice.page.get_by_role("link", name=HOSTILE)).to_be_visible()
    assert alice.page.locator("table.list script, table.list img").count() == 0
    assert alice.page.evaluate("document.documentElement.scrollWidth") <= 1280
    alice.picture("list-long-names")
    alice.well()


def test_the_file_to_take_away_holds_what_the_filters_leave_neutralised_and_is_noted(
    alice: Visitor, many: Company
) -> None:
    answer = alice.page.request.get(f"{alice.url}/accounts/export.csv?sort=-created")
    assert answer.headers["content-disposition"].startswith('attachment; filename="accounts-')
    lines = list(csv.reader(io.StringIO(answer.text().removeprefix("\ufeff"))))
    assert lines[0][:2] == ["Name", "Number"]
    names = [line[0] for line in lines[1:]]
    assert f"'{FORMULA}" in names
    assert HOSTILE in names
    assert len(names) == len(set(names)) > 60
    assert not any(cell.startswith(("=", "+", "@")) for line in lines for cell in line)
    with psycopg.connect(many.stack.config.url(many.stack.config.oltp, "headwater", "postgres")) as oltp:
        noted = oltp.execute("select actor_name, detail from contacts.access_log where kind = 'export'").fetchall()
    assert noted[-1][0] == "alice"
    assert noted[-1][1].startswith(f"{len(names)} rows of /accounts")


def test_charlie_takes_nothing_of_the_north_away(somebody: Somebody, many: Company) -> None:
    charlie = somebody("charlie")
    text = charlie.page.request.get(f"{charlie.url}/accounts/export.csv").text()
    assert len(text.splitlines()) == 1
    token = charlie.page.locator('meta[name="csrf-token"]').get_attribute("content")
    sent = {"do": "deactivate", "ids": many.ids["acme"], "here": "/accounts", "csrfmiddlewaretoken": token}
    answer = charlie.page.request.post(f"{charlie.url}/accounts/bulk", form=sent)
    assert "It is not there, or not yours." in answer.text()
    assert "Acme" not in answer.text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 1920])
@pytest.mark.parametrize("path", ["accounts", "contacts", "orders", "products"])
def test_every_list(somebody: Somebody, many: Company, path: str, width: int, scheme: Any) -> None:
    alice = somebody("alice", width=width, scheme=scheme)
    alice.open(f"/{path}")
    assert rows(alice).count() >= 1
    alice.picture(f"list-{path}-{width}-{scheme}")
    assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
    if width != 1920:
        alice.accessible()
    alice.steady()
    alice.well()


def _choose_new(who: Visitor, company: Company, name: str) -> None:
    """In a list with a new account alone."""
    company.account(name)
    company.landed()
    who.open(f"/accounts?q={name}")
    who.page.get_by_label(f"Choose {name}").check()


def _account(company: Company, name: str) -> str:
    page = company.call("GET", "/api/contacts/accounts?limit=500")
    return str(next(a["account_uuid"] for a in page["items"] if a["name"] == name))


def _status(company: Company, name: str) -> str:
    return str(company.call("GET", f"/api/contacts/accounts/{_account(company, name)}")["status"])
