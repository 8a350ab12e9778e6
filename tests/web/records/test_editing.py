"""Facts are changed where they stand, by mouse or keys alone; nothing that somebody typed is ever lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.stack import eventually
from tests.web.records.company import Company
from tests.web.records.visitor import LANDED, Visitor

Somebody = Callable[..., Visitor]


@pytest.fixture
def account(company: Company) -> str:
    """An account of this test's own."""
    return company.account("Fact Ltd", industry="Retail", annual_revenue="1000")


def test_a_fact_is_edited_with_the_mouse_and_told_in_the_history(alice: Visitor, account: str) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Aerospace")
    alice.page.get_by_role("button", name="Save").click()
    expect(alice.fact("account", account, "industry")).to_contain_text("Aerospace")
    newest = alice.page.locator("#panel-history .entry").first
    expect(newest).to_contain_text("Alice Reyes", timeout=LANDED)
    expect(newest.locator("del")).to_contain_text("Retail")
    expect(newest.locator("ins")).to_contain_text("Aerospace")
    alice.well()


def test_a_fact_is_edited_with_keys_alone(alice: Visitor, account: str) -> None:
    alice.open(f"/accounts/{account}")
    fact = alice.fact("account", account, "industry")
    fact.get_by_role("link").focus()
    alice.page.keyboard.press("Enter")
    expect(fact.get_by_label("Industry")).to_be_focused()
    alice.page.keyboard.type("Energy")
    alice.page.keyboard.press("Escape")
    expect(fact.get_by_role("link")).to_be_focused()
    expect(fact).to_contain_text("Retail")
    alice.page.keyboard.press("Enter")
    expect(fact.get_by_label("Industry")).to_be_focused()
    alice.page.keyboard.type("Energy")
    alice.page.keyboard.press("Enter")
    expect(fact).to_contain_text("Energy")
    expect(fact.get_by_role("link")).to_be_focused()
    alice.well()


def test_tab_saves_and_goes_on_to_the_next_fact(alice: Visitor, account: str) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Mining")
    alice.page.keyboard.press("Tab")
    expect(alice.fact("account", account, "industry")).to_contain_text("Mining")
    expect(alice.fact("account", account, "annual_revenue").get_by_role("link")).to_be_focused()
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "annual_revenue").get_by_label("Annual revenue")).to_be_focused()
    alice.page.keyboard.press("Shift+Tab")
    expect(alice.fact("account", account, "industry").get_by_role("link")).to_be_focused()


@pytest.mark.parametrize(("typed", "shown"), [("1.234,5", "1,234.50"), ("$ 2,500", "2,500.00"), ("0", "0 USD")])
def test_amounts_are_read_as_people_type_them(alice: Visitor, account: str, typed: str, shown: str) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "annual_revenue").fill(typed)
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "annual_revenue")).to_contain_text(shown)


def test_a_mistake_is_told_beside_the_field_and_keeps_what_was_typed(alice: Visitor, account: str) -> None:
    alice.open(f"/accounts/{account}")
    box = alice.edit("account", account, "annual_revenue")
    box.fill("twelve")
    alice.page.keyboard.press("Enter")
    fact = alice.fact("account", account, "annual_revenue")
    expect(fact.get_by_role("alert")).to_contain_text("Enter a number")
    expect(fact.get_by_label("Annual revenue")).to_have_value("twelve")
    expect(fact.get_by_label("Annual revenue")).to_be_focused()
    alice.accessible()
    fact.get_by_label("Annual revenue").fill("-5")
    alice.page.keyboard.press("Enter")
    expect(fact.get_by_role("alert")).to_be_visible()
    expect(fact.get_by_label("Annual revenue")).to_have_value("-5")


def test_what_was_done_can_be_undone(alice: Visitor, account: str) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Mistake")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "industry")).to_contain_text("Mistake")
    alice.page.get_by_role("button", name="Undo").click()
    expect(alice.fact("account", account, "industry")).to_contain_text("Retail")


def test_two_people_who_edit_one_field_choose(somebody: Somebody, account: str) -> None:
    alice, erin = somebody("alice"), somebody("erin")
    for visitor in (alice, erin):
        visitor.open(f"/accounts/{account}")
    mine = alice.edit("account", account, "industry")
    mine.fill("Alice's word")
    erin.edit("account", account, "industry").fill("Erin's word")
    erin.page.keyboard.press("Enter")
    expect(erin.fact("account", account, "industry")).to_contain_text("Erin's word")
    erin.settled()
    alice.page.keyboard.press("Enter")
    fact = alice.fact("account", account, "industry")
    conflict = fact.get_by_role("alert")
    expect(conflict).to_contain_text("Erin Eriksen")
    expect(conflict).to_contain_text("Erin's word")
    expect(conflict).to_contain_text("Alice's word")
    expect(fact.get_by_label("Industry")).to_have_value("Alice's word")
    alice.accessible()
    alice.picture("conflict")
    fact.get_by_role("button", name="Keep mine").click()
    expect(fact.get_by_role("link")).to_contain_text("Alice's word")


def test_theirs_can_be_taken(somebody: Somebody, account: str, company: Company) -> None:
    alice = somebody("alice")
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Mine")
    company.call("POST", f"/api/contacts/accounts/{account}/update", {"industry": "Theirs"})
    alice.page.keyboard.press("Enter")
    alice.page.get_by_role("link", name="Take theirs").click()
    expect(alice.fact("account", account, "industry").get_by_role("link")).to_contain_text("Theirs")


def test_two_people_who_edit_different_fields_do_not_meet(alice: Visitor, account: str, company: Company) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Mine")
    company.call("POST", f"/api/contacts/accounts/{account}/update", {"annual_revenue": "77"})
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "industry").get_by_role("link")).to_contain_text("Mine")
    found = company.call("GET", f"/api/contacts/accounts/{account}")
    assert (found["industry"], found["annual_revenue"]) == ("Mine", "77.0000")


def test_a_session_that_ended_keeps_the_typed_text(alice: Visitor, account: str, company: Company) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "industry").fill("Typed for an hour")
    alice.page.context.clear_cookies(name="hw_session")
    alice.page.keyboard.press("Enter")
    dialog = alice.page.get_by_role("dialog", name="Log in again")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Username").fill("alice")
    dialog.get_by_label("Password").fill("a long enough passphrase")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "industry").get_by_role("link")).to_contain_text("Typed for an hour")
    assert company.call("GET", f"/api/contacts/accounts/{account}")["industry"] == "Typed for an hour"


def test_a_contacts_phone_is_edited_in_the_panel_of_its_account(alice: Visitor, company: Company) -> None:
    acme, ann = company.ids["acme"], company.ids["ann"]
    alice.open(f"/accounts/{acme}")
    alice.edit("contact", ann, "phone").fill("+1 206 555 0199")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("contact", ann, "phone")).to_contain_text("+1 206 555 0199")
    newest = alice.page.locator("#panel-history .entry").first
    expect(newest).to_contain_text("Ann Lee", timeout=LANDED)
    expect(newest).to_contain_text("+1 206 555 0199")
    alice.settled()
    expect(alice.fact("contact", ann, "phone")).to_contain_text("+1 206 555 0199")
    alice.well()


def test_owner_team_and_territory_are_chosen_by_name(alice: Visitor, account: str) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "owner_id").select_option(label="Erin Eriksen")
    alice.page.keyboard.press("Enter")
    alice.fact("account", account, "owner_id").get_by_role("button", name="Save").click()
    expect(alice.fact("account", account, "owner_id").get_by_role("link")).to_contain_text("Erin Eriksen")
    expect(alice.fact("account", account, "territory_id")).to_contain_text("North")


def test_the_parent_account_is_named_by_its_number_or_name(alice: Visitor, account: str, company: Company) -> None:
    alice.open(f"/accounts/{account}")
    alice.edit("account", account, "parent_id").fill("nobody knows this one")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "parent_id").get_by_role("alert")).to_contain_text("There is no account")
    number = company.call("GET", f"/api/contacts/accounts/{company.ids['parent']}")["account_number"]
    alice.fact("account", account, "parent_id").get_by_label("Parent account").fill(number)
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "parent_id").get_by_role("link", name="Alpine Holding")).to_be_visible()


def test_a_panel_that_comes_up_to_date_late_leaves_the_form_that_was_opened_meanwhile(
    alice: Visitor, company: Company, account: str
) -> None:
    person = {
        "account_uuid": account,
        "last_name": "Late",
        "phone": "+1 206 555 0101",
        "territory_id": company.ids["north"],
    }
    ann = company.call("POST", "/api/contacts/contacts", person)["id"]
    company.landed()
    late: list[Route] = []
    alice.open(f"/accounts/{account}")
    alice.page.route("**/panels/contacts", lambda route: late.append(route))
    alice.edit("account", account, "industry").fill("Late news")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "industry")).to_contain_text("Late news")
    eventually(lambda: late or alice.page.wait_for_timeout(50), 15, "the panel is asked for again")
    phone = alice.edit("contact", ann, "phone")
    phone.fill("+1 206 555 0177")
    with alice.page.expect_response("**/panels/contacts"):
        for route in late:
            route.continue_()
    alice.page.unroute("**/panels/contacts")
    alice.page.wait_for_timeout(300)
    expect(phone).to_have_value("+1 206 555 0177")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("contact", ann, "phone")).to_contain_text("+1 206 555 0177")


def test_a_panel_shows_ones_last_write_though_an_older_answer_comes_between(
    alice: Visitor, company: Company, account: str
) -> None:
    asked: list[Route] = []
    alice.open(f"/accounts/{account}")
    # The first two are held back.
    alice.page.route("**/panels/history", lambda r: asked.append(r) if len(asked) < 2 else r.continue_())

    def change(name: str, value: str) -> None:
        alice.edit("account", account, name).fill(value)
        alice.page.keyboard.press("Enter")
        expect(alice.fact("account", account, name)).to_contain_text(value)

    change("industry", "Trains")
    eventually(lambda: asked or alice.page.wait_for_timeout(50), 15, "the history is asked for")
    company.landed()
    older = asked[0].fetch()
    assert "data-updating" not in older.text()
    change("name", "Fact and Sons")
    eventually(lambda: len(asked) > 1 or alice.page.wait_for_timeout(50), 15, "the history is asked for again")
    asked[0].fulfill(response=older)
    alice.page.wait_for_timeout(300)
    asked[1].continue_()
    expect(alice.page.locator("#panel-history .entry", has_text="Fact and Sons").first).to_be_visible()
    alice.well()


def test_a_change_while_a_panel_first_loads_is_in_it(alice: Visitor, company: Company, account: str) -> None:
    company.landed()
    asked: list[Route] = []
    alice.page.route("**/panels/history", lambda r: asked.append(r) if not asked else r.continue_())
    alice.page.goto(f"{alice.url}/accounts/{account}")
    eventually(lambda: asked or alice.page.wait_for_timeout(50), 15, "the history is asked for")
    older = asked[0].fetch()
    alice.edit("account", account, "industry").fill("Early bird")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "industry")).to_contain_text("Early bird")
    asked[0].fulfill(response=older)
    newest = alice.page.locator("#panel-history .entry", has_text="Early bird")
    expect(newest.first).to_be_visible(timeout=LANDED)
    alice.well()


def test_a_panel_with_an_open_form_comes_up_to_date_once_that_is_closed(
    alice: Visitor, company: Company, account: str
) -> None:
    person = {"account_uuid": account, "last_name": "Open", "phone": "+1 206", "territory_id": company.ids["north"]}
    ann = company.call("POST", "/api/contacts/contacts", person)["id"]
    company.landed()
    alice.open(f"/accounts/{account}")
    asked: list[str] = []
    alice.page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/panels/contacts") else None)
    phone = alice.edit("contact", ann, "phone")
    phone.fill("+1 2")
    alice.edit("account", account, "industry").fill("Elsewhere")
    alice.page.keyboard.press("Enter")
    expect(alice.fact("account", account, "industry")).to_contain_text("Elsewhere")
    alice.page.wait_for_timeout(1500)
    assert asked == [], "whoever types is left alone"
    expect(phone).to_have_value("+1 2")
    phone.press("Escape")
    eventually(lambda: asked or alice.page.wait_for_timeout(50), 30, "the panel is asked for")
    alice.settled()
    expect(alice.fact("contact", ann, "phone")).to_contain_text("+1 206")
    alice.well()


def test_a_form_goes_out_again_where_one_came_back_to_its_page(alice: Visitor) -> None:
    """The answer leads to a place within the page: as after a step back, it is the same page with the same scripts."""
    sent: list[str] = []

    def lead(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route.request.url)
            route.fulfill(status=204, headers={"HW-Location": "#main"})
        else:
            route.continue_()

    alice.open("/accounts/new")
    alice.page.route("**/accounts/new", lead)
    alice.page.get_by_label("Name", exact=True).fill("Twice Ltd")
    for times in (1, 2):
        alice.page.get_by_role("button", name="Create").click()
        eventually(lambda times=times: len(sent) == times or alice.page.wait_for_timeout(50), 15, f"sent {times} times")
