"""The frame at a real browser: search, palette, keys, theme, help, small screens, the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.stack import eventually
from tests.web.records.company import HOSTILE, PASSWORD, Company
from tests.web.records.visitor import Visitor

Somebody = Callable[..., Visitor]


@pytest.fixture(scope="module")
def indexed(company: Company) -> Company:
    """The company, once everything of it can be found."""

    def found() -> bool:
        answer = company.call("GET", "/api/search?q=acme")
        return {"account", "contact", "order"} <= {group["entity"] for group in answer["groups"]}

    eventually(found, 60, "the index holds the company")
    return company


def test_search_as_one_types_and_on_enter_by_keyboard_alone(alice: Visitor, indexed: Company) -> None:
    page = alice.page
    page.keyboard.press("/")
    page.keyboard.type("acme bic")
    box = page.get_by_role("combobox", name="Search accounts, contacts, orders and products")
    expect(box).to_have_attribute("aria-expanded", "true")
    options = page.get_by_role("listbox", name="Results")
    expect(options.get_by_role("group", name="Accounts")).to_contain_text("Acme Bicycles")
    alice.picture("search-suggestions")
    alice.accessible()
    page.keyboard.press("ArrowDown")
    chosen = options.locator("[aria-selected=true]")
    expect(chosen).to_contain_text("Acme Bicycles")
    assert box.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/accounts/{indexed.ids['acme']}")
    page.keyboard.press("/")
    page.keyboard.type("acme")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=acme")
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    alice.picture("search-results")
    alice.accessible()
    alice.well()


def test_escape_closes_what_is_offered_then_leaves_the_box(alice: Visitor, indexed: Company) -> None:
    page = alice.page
    page.keyboard.press("/")
    page.keyboard.type("acme")
    expect(page.locator("#finder-list")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#finder-list")).to_be_hidden()
    assert page.locator("#finder-input").input_value() == "acme"
    alice.well()


@pytest.mark.parametrize("query", ["x" * 10_000, HOSTILE, "a.*b[", "'; drop table x", "\u202e\u0000", '{"q":1}'])
def test_whatever_is_searched_for_is_text(alice: Visitor, indexed: Company, query: str) -> None:
    answer = alice.page.request.get(f"{alice.url}/search", params={"q": query})
    assert answer.status == 200
    assert "<script>alert" not in answer.text()
    alice.page.goto(f"{alice.url}/search")
    alice.page.locator("#finder-input").fill(query.replace("\0", "")[:200])
    expect(alice.page.locator("#finder-list")).to_be_visible()
    alice.well()


def test_charlie_is_offered_nothing_of_the_north(somebody: Somebody, indexed: Company) -> None:
    charlie = somebody("charlie")
    charlie.open("/search?q=acme")
    expect(charlie.page.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert "Acme" not in charlie.page.request.get(f"{charlie.url}/search/suggest?q=acme").text().replace("“acme”", "")


def test_the_palette_goes_does_and_finds(alice: Visitor, indexed: Company) -> None:
    page = alice.page
    alice.open(f"/accounts/{indexed.ids['acme']}")
    alice.open("/")
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Commands")
    expect(dialog.get_by_role("group", name="Seen lately")).to_contain_text("Acme Bicycles")
    alice.picture("palette")
    alice.accessible()
    page.keyboard.type("contacts")
    page.keyboard.press("Enter")
    page.wait_for_url("**/contacts")
    page.keyboard.press("Control+k")
    page.keyboard.type("dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Control+k")
    page.keyboard.type("Alpine Hold")
    expect(dialog.get_by_role("option", name="Alpine Holding").first).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/accounts/{indexed.ids['parent']}")
    alice.well()


def test_what_was_seen_lately_is_gone_with_the_login(alice: Visitor, indexed: Company) -> None:
    alice.open(f"/accounts/{indexed.ids['acme']}")
    kept = "Object.keys(localStorage).filter((name) => name.startsWith('hw-recent-')).length"
    assert alice.page.evaluate(kept) == 1
    alice.page.get_by_role("button", name="theme, log out").click()
    alice.page.get_by_role("button", name="Log out", exact=True).click()
    alice.page.wait_for_url("**/login")
    assert alice.page.evaluate(kept) == 0


def test_g_and_a_letter_goes_and_question_mark_helps(alice: Visitor) -> None:
    page = alice.page
    for letter, path in (("a", "accounts"), ("o", "orders"), ("p", "products"), ("c", "contacts"), ("h", "")):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_url(f"{alice.url}/{path}")
    page.keyboard.press("?")
    help = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help).to_be_visible()
    alice.picture("help")
    alice.accessible()
    page.keyboard.press("Escape")
    expect(help).to_be_hidden()
    alice.well()


def test_keys_typed_into_a_field_are_text(alice: Visitor) -> None:
    alice.open("/accounts")
    alice.page.get_by_label("Find in accounts").click()
    alice.page.keyboard.type("gc?x")
    assert alice.page.get_by_label("Find in accounts").input_value() == "gc?x"
    assert alice.page.url.endswith("/accounts")
    expect(alice.page.locator("dialog[open]")).to_have_count(0)


def test_the_theme_is_kept_and_follows_the_system_until_then(somebody: Somebody) -> None:
    dark = somebody("alice", scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    of_system = dark.page.evaluate(ground)
    dark.page.get_by_role("button", name="theme, log out").click()
    dark.page.get_by_role("button", name="Light").click()
    assert dark.page.evaluate(ground) != of_system
    dark.page.reload()
    expect(dark.page.locator("html")).to_have_attribute("data-theme", "light")
    dark.well()


def test_a_session_that_ended_asks_in_place_and_what_was_typed_is_sent(somebody: Somebody, company: Company) -> None:
    alice = somebody("alice")
    page = alice.page
    alice.open("/accounts/new")
    page.get_by_label("Name", exact=True).fill("Typed before the session ended")
    page.context.clear_cookies(name="hw_session")
    page.get_by_role("button", name="Create account").click()
    dialog = page.get_by_role("dialog", name="Log in again")
    expect(dialog).to_be_visible()
    alice.picture("session-ended")
    alice.accessible()
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("The username or password is wrong")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Typed before the session ended")).to_be_visible()
    refused = [words for words in alice.complaints if "401" not in words]
    assert refused == []


def test_without_script_a_session_that_ended_keeps_the_form_too(somebody: Somebody) -> None:
    alice = somebody("alice", java_script_enabled=False)
    page = alice.page
    page.goto(f"{alice.url}/accounts/new")
    page.get_by_label("Name", exact=True).fill("Typed without script")
    page.context.clear_cookies(name="hw_session")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Typed without script")).to_be_visible()


def test_reading_and_searching_without_script(somebody: Somebody, indexed: Company) -> None:
    alice = somebody("alice", java_script_enabled=False)
    page = alice.page
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Accounts").click()
    page.get_by_role("link", name="Acme Bicycles").click()
    expect(page.get_by_role("heading", name="Acme Bicycles")).to_be_visible()
    page.locator("#finder-input").fill("acme")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()


def test_the_rail_is_a_drawer_on_a_small_screen(somebody: Somebody) -> None:
    alice = somebody("alice", width=360)
    page = alice.page
    rail = page.get_by_role("navigation", name="Main")
    expect(rail).to_be_hidden()
    page.get_by_role("button", name="Menu").press("Enter")
    expect(rail).to_be_visible()
    alice.picture("rail-360")
    rail.get_by_role("link", name="Orders").click()
    page.wait_for_url("**/orders")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    alice.well()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_component_of_the_styleguide(somebody: Somebody, width: int, scheme: Any) -> None:
    alice = somebody("alice", width=width, scheme=scheme)
    alice.page.goto(f"{alice.url}/styleguide")
    alice.picture(f"styleguide-{width}-{scheme}")
    assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
    alice.accessible()
    alice.well()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_home_and_errors(somebody: Somebody, width: int, scheme: Any) -> None:
    alice = somebody("alice", width=width, scheme=scheme)
    alice.open("/")
    alice.picture(f"home-{width}-{scheme}")
    alice.accessible()
    alice.steady()
    alice.well()
    alice.page.goto(f"{alice.url}/accounts/01a20373-196d-71ff-bc78-118635296eb7")
    expect(alice.page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    alice.picture(f"absent-{width}-{scheme}")
    alice.accessible()


def test_a_panel_that_fails_says_so_alone_and_tries_again(alice: Visitor) -> None:
    page = alice.page
    page.route("**/home/ship", lambda route: route.abort())
    page.route("**/home/drafts", lambda route: route.fulfill(status=500, body="<p>oops</p>", content_type="text/html"))
    page.goto(f"{alice.url}/")
    ship = page.locator("#home-ship")
    expect(ship).to_contain_text("Orders to ship: This part could not be loaded")
    expect(page.locator("#home-drafts")).to_contain_text("The rest of the page is not affected")
    expect(page.locator("#home-changed").get_by_role("link", name="All")).to_be_visible()
    alice.picture("panel-failed")
    alice.accessible()
    page.unroute("**/home/ship")
    ship.get_by_role("link", name="Try again").click()
    expect(ship).not_to_contain_text("could not be loaded")
