"""Somebody at a real browser: pages, keys and mouse, and what a page did that it should not have done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.records.company import PASSWORD

LANDED = 90_000
"""Milliseconds to wait for what comes over the stream: they only separate it from what never comes."""

AXE = Path(__file__).resolve().parents[2] / "tools" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = Path(__file__).resolve().parents[3] / "build" / "pictures" / "records"
_WATCH = """
window.shifted = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput)
      window.shifted.push([
        entry.value,
        ...entry.sources.map(({ node, previousRect: was, currentRect: is }) => [
          (node?.outerHTML ?? node?.textContent ?? "").slice(0, 120),
          [was.x, was.y, was.width, was.height],
          [is.x, is.y, is.width, is.height],
        ]),
      ]);
}).observe({ type: "layout-shift", buffered: true });
"""


@dataclass
class Visitor:
    """``complaints`` are errors and warnings of the browser's console: scripts that failed, what the policy refused."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def log_in(self, username: str, password: str = PASSWORD) -> None:
        self.page.goto(f"{self.url}/login")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(f"{self.url}/")

    def open(self, path: str) -> None:
        """The page with every panel that loads after it."""
        self.page.goto(self.url + path)
        self.settled()

    def settled(self) -> None:
        expect(self.page.locator("[data-later]")).to_have_count(0)
        expect(self.page.locator("[data-updating]")).to_have_count(0, timeout=LANDED)

    def fact(self, kind: str, key: str, name: str) -> Locator:
        return self.page.locator(f"[id='{kind}-{key}-{name}']")

    def edit(self, kind: str, key: str, name: str) -> Locator:
        """Begins to edit a fact with the mouse; its first input."""
        self.fact(kind, key, name).get_by_role("link", name="Edit").click()
        return self.fact(kind, key, name).locator("input:not([type=hidden]), select, textarea").first

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))

    def accessible(self) -> None:
        """Nothing that axe finds fault with."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("async () => (await axe.run()).violations")
        assert not found, [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found]

    def steady(self) -> None:
        """Nothing on the page moved by itself since it was opened."""
        moved = self.page.evaluate("window.shifted")
        assert not moved, moved

    def well(self) -> None:
        assert self.complaints == []

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@contextmanager
def visit(browser: Browser, url: str, *, width: int = 1280, scheme: Any = "light", **more: Any) -> Iterator[Visitor]:
    """A browser of somebody's own, without cookies."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    context.set_default_timeout(15_000)
    if more.get("java_script_enabled", True):
        context.add_init_script(_WATCH)
    page = context.new_page()
    visitor = Visitor(page, url)
    page.on("console", lambda m: visitor.complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    try:
        yield visitor
    finally:
        context.close()


@contextmanager
def entering(browser: Browser, url: str) -> Iterator[Callable[..., Visitor]]:
    """Gives a function that opens a browser of somebody's own, logged in; all are closed in the end."""
    with ExitStack() as visitors:

        def enter(username: str, **more: Any) -> Visitor:
            visitor = visitors.enter_context(visit(browser, url, **more))
            visitor.log_in(username)
            return visitor

        yield enter
