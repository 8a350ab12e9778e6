"""The walk that the product is shown by: log in, search, open an account, edit it and a contact, see who did it, see it
pass on the Stream page, and find it in the lake."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from playwright.sync_api import expect

from headwater.lake import lake
from tests.stack import eventually
from tests.web.records.company import PASSWORD, Company, draft
from tests.web.records.visitor import LANDED, Visitor


def walk(somebody: Callable[..., Visitor], company: Company) -> None:
    acme, ann = company.ids["acme"], company.ids["ann"]

    mountain = company.account("Mountain Works")
    eventually(lambda: company.orders_know(mountain), 60)
    draft(company, mountain)

    def indexed() -> bool:
        found = company.call("GET", "/api/search?q=moun")
        return {"product", "account", "order"} <= {group["entity"] for group in found["groups"]}

    eventually(indexed, 60, "bikes, accounts and orders can be found")
    olga = _operator(somebody, company)
    passing = olga.page.get_by_role("region", name="Changes").get_by_role("row")
    alice = somebody("alice")
    page = alice.page

    page.keyboard.press("/")
    page.keyboard.type("moun")
    offered = page.locator("#finder-list")
    expect(offered).to_contain_text("Mountain bike")
    page.keyboard.press("Enter")
    for group in ("Accounts", "Products", "Orders"):
        expect(page.get_by_role("region", name=group)).to_be_visible()
    alice.picture("walk-1-search")

    page.wait_for_load_state()  # keys are listened to from then on
    page.keyboard.press("/")
    page.keyboard.type("Acme Bic")
    offered.locator(f"[href='/accounts/{acme}']").click()
    page.wait_for_url(f"**/accounts/{acme}")
    alice.settled()

    alice.edit("account", acme, "industry").fill("Mountain sports")
    page.keyboard.press("Enter")
    expect(alice.fact("account", acme, "industry")).to_contain_text("Mountain sports")
    alice.edit("contact", ann, "phone").fill("+1 206 555 0123")
    page.keyboard.press("Enter")
    expect(alice.fact("contact", ann, "phone")).to_contain_text("+1 206 555 0123")

    history = page.locator("#panel-history")
    called = history.locator(".entry", has_text="+1 206 555 0123")
    expect(called).to_contain_text("Alice Reyes", timeout=LANDED)
    expect(called).to_contain_text("Ann Lee")
    changed = history.locator(".entry", has_text="Mountain sports")
    expect(changed.first).to_contain_text("Alice Reyes")
    alice.settled()
    alice.picture("walk-2-history")
    alice.well()

    for command in ("contacts.update_account", "contacts.update_contact"):
        passed = passing.filter(has_text=command).filter(has_text="alice")
        expect(passed.first).to_be_visible(timeout=LANDED)
    expect(passing.locator(f"[href='/accounts/{acme}']").first).to_be_visible()
    olga.picture("walk-3-stream")
    olga.well()

    _await_lake(company)
    assert _in_the_lake(company, acme)
    said = company.stack.run("history", f"accounts/{acme}").stdout
    assert "alice by contacts.update_account" in said
    assert "→ Mountain sports" in said


def _operator(somebody: Callable[..., Visitor], company: Company) -> Visitor:
    """An auditor, in front of the Stream page from before anything happens."""
    user = {"username": "olga", "display_name": "Olga Ops", "password": PASSWORD, "roles": ["auditor"]}
    company.call("POST", "/api/identity/users", user)
    olga = somebody("olga")
    olga.open("/stream")
    return olga


def _await_lake(company: Company) -> None:
    """Until the lake holds everything that has landed by now."""
    with psycopg.connect(company.stack.config.warehouse_url(), autocommit=True) as warehouse:
        last = warehouse.execute("select max(batch_id) from log.batch").fetchone()
        waiting = "select from log.queue where consumer = 'lake' and batch_id <= %s"
        eventually(lambda: warehouse.execute(waiting.encode(), last).fetchone() is None, 120, "everything in the lake")


def _in_the_lake(company: Company, account: str) -> bool:
    """Whether the lake's own files hold the edit: ``history`` would have it from the change log, too."""
    with lake(company.stack.config).open() as session:
        found = session.execute(
            "select count(*) from lake.log.changes where table_name = 'account' and contains(key::varchar, ?)"
            " and contains(after::varchar, 'Mountain sports')",
            [account],
        ).fetchone()
    return found is not None and found[0] > 0
