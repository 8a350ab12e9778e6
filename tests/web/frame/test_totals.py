"""The last line of a list: it comes after the rows, alone, with its age, and leaves them alone where it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.stack import eventually
from tests.web.records.company import Company
from tests.web.records.visitor import Visitor

Somebody = Callable[..., Visitor]
TOTALS = re.compile(r"/(accounts|orders)/totals")


@pytest.fixture(scope="module")
def many(company: Company) -> Company:
    """The company with a page of accounts more, and one that pays in euro."""
    for number in range(60):
        company.account(f"Sum {number:02}", industry="Zoo" if number < 7 else None)
    company.account("Sum in euro", currency="EUR")
    company.landed()
    return company


def foot(who: Visitor) -> Locator:
    return who.page.locator("tfoot")


_UNCOVERED = """
() => ["tfoot .counted > span", "tfoot .fresh-text"].every((selector) => {
  const words = document.querySelector(selector);
  words.scrollIntoView({ block: "center" });
  const box = words.getBoundingClientRect();
  const right = selector.endsWith("text") ? box.right : box.left + 60;
  return document.elementFromPoint(right - 2, box.top + box.height / 2)?.closest(".counted");
})
"""
"""The number of rows and its age stand over the cells that they reach into."""


@contextmanager
def slow(who: Visitor) -> Iterator[None]:
    """Totals are not answered within; everything else is."""
    held: list[Route] = []
    who.page.route(TOTALS, lambda route: held.append(route))
    yield
    eventually(lambda: held or who.page.wait_for_timeout(50), 15, "totals are asked for")
    for route in held:
        route.continue_()
    who.page.unroute(TOTALS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["accounts", "orders"])
def test_the_totals_come_after_the_rows_and_move_nothing(
    somebody: Somebody, many: Company, path: str, width: int, scheme: Any
) -> None:
    alice = somebody("alice", width=width, scheme=scheme)
    page = alice.page
    with slow(alice):
        page.goto(f"{alice.url}/{path}")
        expect(page.locator("tr[data-row]").first).to_be_visible()
        expect(foot(alice)).to_have_attribute("aria-busy", "true")
        alice.accessible()
    alice.settled()
    expect(foot(alice)).to_contain_text(re.compile(rf"\d+ {path}"))
    expect(foot(alice)).to_contain_text("as of")
    assert page.evaluate(_UNCOVERED)
    page.mouse.move(0, 0)
    alice.steady()
    alice.accessible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    alice.picture(f"totals-{path}-{width}-{scheme}")
    alice.well()


def test_they_are_of_what_the_filters_leave_whatever_the_order_and_page(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts?industry.has=Zoo&sort=-name")
    expect(foot(alice)).to_contain_text("7 accounts")
    alice.open("/accounts")
    everything = foot(alice).locator("th").inner_text().split(" accounts")[0]
    assert int(everything) > 60
    with slow(alice):
        page.keyboard.press("]")
        page.wait_for_url("**after=**")
        # what stood there stays until the new answer comes: a page further on they are the same
        expect(foot(alice)).to_contain_text(f"{everything} accounts")
    alice.settled()
    expect(foot(alice)).to_contain_text(f"{everything} accounts")
    alice.well()


def test_they_fail_alone_and_are_tried_again_by_keyboard(alice: Visitor, many: Company) -> None:
    page = alice.page
    page.route(TOTALS, lambda route: route.abort())
    page.goto(f"{alice.url}/accounts")
    expect(foot(alice)).to_contain_text("Totals: This part could not be loaded")
    expect(page.locator("tr[data-row]")).to_have_count(50)
    alice.accessible()
    alice.picture("totals-failed")
    page.unroute(TOTALS)
    foot(alice).get_by_role("link", name="Try again").focus()
    page.keyboard.press("Enter")
    expect(foot(alice)).to_contain_text(re.compile(r"\d+ accounts"))


def test_several_currencies_lead_to_each_of_them(alice: Visitor, many: Company) -> None:
    page = alice.page
    alice.open("/accounts?q=Acme&sort=name")
    expect(foot(alice)).to_contain_text("23,199.90")
    expect(foot(alice).get_by_role("link")).to_have_count(0)
    alice.open("/accounts")
    foot(alice).get_by_role("link", name="USD +1").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts/totals")
    expect(page.get_by_role("row", name="1 in EUR")).to_be_visible()
    expect(page.get_by_role("row", name="in USD")).to_contain_text("23,199.90")
    alice.accessible()
    alice.picture("totals-page")
    page.get_by_role("link", name="Back to these accounts").click()
    page.wait_for_url("**/accounts")
    alice.well()


def test_without_script_they_are_a_page(somebody: Somebody, many: Company) -> None:
    alice = somebody("alice", java_script_enabled=False)
    page = alice.page
    page.goto(f"{alice.url}/accounts?industry.has=Zoo")
    expect(page.locator("tr[data-row]")).to_have_count(7)
    page.get_by_role("link", name="Count and sum these accounts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Totals of accounts")
    expect(page.get_by_text("Industry contains Zoo")).to_be_visible()
    expect(foot(alice)).to_contain_text("7 accounts")
    alice.picture("totals-without-script")
    page.get_by_role("link", name="Back to these accounts").click()
    expect(page.locator("tr[data-row]")).to_have_count(7)


def test_they_tell_nobody_of_what_is_not_theirs(somebody: Somebody, many: Company) -> None:
    charlie = somebody("charlie")
    charlie.page.goto(f"{charlie.url}/accounts/totals")
    expect(foot(charlie)).to_contain_text("0 accounts")
    bob = somebody("bob")
    answer = bob.page.goto(f"{bob.url}/accounts/totals")
    assert answer is not None
    assert answer.status == 403
    assert "23,199" not in charlie.page.request.get(f"{charlie.url}/accounts/totals?q=Acme").text()
