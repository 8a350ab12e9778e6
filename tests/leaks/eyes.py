"""One person's eyes: every way in which Headwater shows rows, as texts in which something could have leaked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import httpx
import psycopg
from psycopg import sql

from tests.leaks.plot import PASSWORD, WORD, Plot, Thing
from tests.stack import Stack

LISTS = {
    "contacts.account": "/api/contacts/accounts",
    "contacts.contact": "/api/contacts/contacts",
    "orders.sales_order": "/api/orders/sales-orders",
}
PAGES = {"contacts.account": "accounts", "contacts.contact": "contacts", "orders.sales_order": "orders"}
ENTITIES = {"contacts.account": "account", "contacts.contact": "contact", "orders.sales_order": "order"}
_PAGED = re.compile(r"^/api/[a-z]+/[a-z-]+$")


class Eyes:
    def __init__(self, plot: Plot, username: str) -> None:
        self.plot = plot
        self.username = username
        self.stack: Stack = plot.stack
        self.token = self.stack.token(username)
        self.api = httpx.Client(
            base_url=self.stack.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60.0
        )

    def close(self) -> None:
        self.api.close()
        self.browser.close()

    @cached_property
    def browser(self) -> httpx.Client:
        """A session of the application."""
        client = httpx.Client(base_url=self.stack.url, follow_redirects=True, timeout=60.0)
        form = client.get("/login").text
        mark = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert mark is not None
        answer = client.post(
            "/login",
            data={
                "csrfmiddlewaretoken": mark[1],
                "login_username": self.username,
                "login_password": PASSWORD,
                "next": "/",
            },
            headers={"Origin": self.stack.url},
        )
        assert answer.status_code == 200, answer.text[:500]
        assert "login_password" not in answer.text
        return client

    @cached_property
    def granted(self) -> str:
        """Everything that the write services' lists give this person: what the other ways are held against."""
        paths = self.api.get("/api/openapi.json").json()["paths"]
        texts = []
        for path in sorted(p for p, methods in paths.items() if "get" in methods and _PAGED.match(p)):
            after: str | None = None
            while True:
                answer = self.api.get(path, params={"limit": "500", **({"after": after} if after else {})})
                if answer.status_code != 200:
                    break
                texts.append(answer.text)
                after = answer.json().get("next") if isinstance(answer.json(), dict) else None
                if after is None:
                    break
        return "\n".join(texts)

    @property
    def forbidden(self) -> set[str]:
        return {word for word in self.plot.secrets if word not in self.granted}

    def may_see(self, thing: Thing) -> bool:
        return self.api.get(f"{LISTS[thing.resource]}/{thing.key}").status_code == 200

    def ways(self) -> Iterator[tuple[str, str]]:
        """(way, text) of everything that this person can be shown."""
        yield from self._records()
        yield from self._searching()
        yield from self._lists()
        yield from self._pages()
        yield from self._sql()

    def _records(self) -> Iterator[tuple[str, str]]:
        for thing in self.plot.things:
            yield "API get", self.api.get(f"{LISTS[thing.resource]}/{thing.key}").text
            kind = ENTITIES[thing.resource]
            yield "timeline", self.api.get(f"/api/360/{kind}s/{thing.key}/timeline", params={"limit": "100"}).text
        for thing in self.plot.of("contacts.account"):
            yield "360", self.api.get(f"/api/360/accounts/{thing.key}").text
            yield "360", self.api.get(f"/api/360/accounts/{thing.key}/sales-by-year").text

    def search(self, query: str, **more: str) -> dict[str, Any]:
        answer = self.api.get("/api/search", params={"q": query, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        found.pop("query", None)  # what was asked is no news to who asked
        return found

    def _searching(self) -> Iterator[tuple[str, str]]:
        yield "search", json.dumps(self.search(WORD, limit="100"))
        for word in sorted(self.plot.secrets):
            # The beginning of a secret must neither find it nor be completed to it.
            yield "search", json.dumps(self.search(word[:5], limit="20"))
            offered = self.browser.get("/search/suggest", params={"q": word[:5]})
            yield "suggest", offered.text

    def _lists(self) -> Iterator[tuple[str, str]]:
        for name in PAGES.values():
            yield "list page", self.browser.get(f"/{name}", params={"q": WORD}).text
            yield "list page", self.browser.get(f"/{name}/totals", params={"q": WORD}).text
            yield "export", self.browser.get(f"/{name}/export.csv").text

    def _pages(self) -> Iterator[tuple[str, str]]:
        for thing in self.plot.things:
            page = f"/{PAGES[thing.resource]}/{thing.key}"
            shown = self.browser.get(page).text
            yield "record page", shown
            for panel in sorted(set(re.findall(rf'"({page}/panels/[a-z0-9-]+)', shown))):
                yield "panel", self.browser.get(panel).text

    def _sql(self) -> Iterator[tuple[str, str]]:
        """Every relation of the warehouse that an analyst's login of this person may read, the lake's catalogue too."""
        login = f"sql-{self.username}"
        dsn = self.stack.run("analyst", "add", login, "--user", self.username).stdout.strip()
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                for schema, name in connection.execute(
                    "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                    " where c.relkind in ('r', 'p', 'v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')"
                    " and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')"
                ).fetchall():
                    rows = connection.execute(
                        sql.SQL("select coalesce(string_agg(t::text, chr(10)), '') from {} t").format(
                            sql.Identifier(schema, name)
                        )
                    ).fetchone()
                    assert rows is not None
                    yield "lake" if schema == "lake" else "warehouse SQL", f"{schema}.{name}: {rows[0]}"
        finally:
            self.stack.run("analyst", "remove", login)
