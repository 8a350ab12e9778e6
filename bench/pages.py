"""Server time of the application's pages with AdventureWorks loaded (the demo company where its files are absent)."""

from __future__ import annotations

import html
import re
import statistics
from collections.abc import Iterator
from contextlib import closing

import httpx
import psycopg

from bench.figure import Figure
from tests.datasets import find
from tests.stack import Stack, eventually
from web.assets import STYLES, assets

TIMES, WARM_UP = 40, 5
PROMISE_MS = 80.0
LISTS = {
    "accounts": ("", "?sort=-sales", "?q=bike", "?type=Customer&status=Active&sort=-balance"),
    "contacts": ("", "?q=an"),
    "orders": ("", "?status=shipped&sort=-total", "?q=so-"),
    "products": ("", "?sort=-price"),
}
PARTS = {"account": ("", "/orders", "/contacts", "/360"), "order": ("",), "product": ("",), "contact": ("",)}
"""Kinds of record → the addresses below a record's own."""
KEYS = {
    "account": ("accounts", "select account_uuid from reporting.c360_account order by order_count desc limit 20"),
    "order": ("orders", "select order_id from marts.fct_sales_order order by line_count desc limit 20"),
    "product": ("products", "select product_id from marts.dim_product order by sku limit 20"),
    "contact": ("contacts", "select contact_id from marts.dim_contact order by contact_id limit 20"),
}
SEARCHES = ("/search?q=mountain", "/search/suggest?q=moun", "/search?q=ann")


def run() -> Iterator[Figure]:
    files = find("adventureworks")
    stack = Stack()
    try:
        stack.up(demo=files is None)
        if files is not None:
            stack.run("import", "adventureworks", "--from", str(files), timeout=600)
        company = "AdventureWorks" if files is not None else "the demo company"
        with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
            eventually(lambda: _drained(warehouse), timeout=300, what="everything landed, refreshed and indexed")
            records = {
                kind: [f"/{folder}/{row[0]}" for row in warehouse.execute(query.encode())]
                for kind, (folder, query) in KEYS.items()
            }
        with closing(_reader(stack)) as reader:
            for what, paths in _pages(reader, records).items():
                yield _figure(reader, what, paths, company)
        yield from _sizes()
    finally:
        stack.close()


def _pages(reader: httpx.Client, records: dict[str, list[str]]) -> dict[str, list[str]]:
    """What a page is called → addresses of it; every panel that a record's page loads is an address too."""
    found = {"home": ["/"], "styleguide": ["/styleguide"], "stream": ["/stream"]}
    for name, queries in LISTS.items():
        first = [f"/{name}{query}" for query in queries]
        found[f"list of {name}"] = first
        found[f"list of {name}, further on"] = [path for start in first for path in _further(reader, start)]
        found[f"list of {name}, totals"] = [f"/{name}/totals{query}" for query in queries]
    found["search"] = list(SEARCHES)
    for kind, paths in records.items():
        for part in PARTS[kind]:
            name = f"{kind}{part.replace('/', ', ')}"
            found[name] = [path + part for path in paths]
            panels = re.findall(r'data-src="([^"]+)"', reader.get(found[name][0]).text)
            for panel in panels:
                label = panel.rpartition("/")[2].partition("?")[0]
                found[f"{kind}: panel {label}"] = [panel.replace(paths[0], path) for path in paths]
    return found


def _further(reader: httpx.Client, start: str) -> list[str]:
    """The third and the sixth page of a list, where it is that long."""
    found, path = [], start
    for number in range(2, 7):
        following = re.search(r'href="([^"]+)"[^>]* rel="next"', reader.get(path).text)
        if following is None:
            break
        path = html.unescape(following[1])
        if number in (3, 6):
            found.append(path)
    return found or [path]


def _figure(reader: httpx.Client, what: str, paths: list[str], company: str) -> Figure:
    for path in paths[:WARM_UP]:
        _read(reader, path)
    taken = sorted(_read(reader, paths[turn % len(paths)]) for turn in range(TIMES))
    p95 = taken[int(len(taken) * 0.95)]
    how = f"{TIMES} requests of {company} as an administrator, Server-Timing; median {statistics.median(taken):.0f} ms"
    return Figure.at_most(f"page p95, {what}", round(p95, 1), PROMISE_MS, "ms", how)


def _sizes() -> Iterator[Figure]:
    known = assets().files
    scripts = sum(len(asset.packed) for name, asset in known.items() if name.endswith(".js"))
    yield Figure.at_most("scripts, gzipped", round(scripts / 1024, 1), 60, "KB", "every module together")
    yield Figure.at_most("styles, gzipped", round(len(known[STYLES].packed) / 1024, 1), 30, "KB", "one file")


def _reader(stack: Stack) -> httpx.Client:
    """Somebody logged in as the administrator, through the form."""
    reader = httpx.Client(base_url=stack.url, timeout=30, headers={"Accept-Encoding": "gzip"})
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', reader.get("/login").text)
    if found is None:
        raise RuntimeError("the login page has no form")
    login = dict(line.split(": ", 1) for line in stack.home.login.read_text().splitlines() if ": " in line)
    form = {"login_username": login["username"], "login_password": login["password"], "csrfmiddlewaretoken": found[1]}
    answer = reader.post("/login", data=form)
    if answer.status_code != 303:
        raise RuntimeError(f"the login answered {answer.status_code}")
    return reader


def _read(reader: httpx.Client, path: str) -> float:
    """Milliseconds that the server took for one page."""
    answer = reader.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return float(answer.headers["Server-Timing"].partition("dur=")[2])


def _drained(warehouse: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = warehouse.execute("select count(*) from log.queue where consumer in ('refresh', 'search')").fetchone()
    return row == (0,)
