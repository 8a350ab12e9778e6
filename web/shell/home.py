"""Home: what waits for this person, each a short list with its count that leads to the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.http import Http404, HttpResponse, QueryDict

from bi.lists.read import page as read_page
from bi.lists.read import totals, visible
from web.answers import part, show
from web.freshness import freshness
from web.lists.asked import asked
from web.lists.screens import SCREENS, Screen
from web.lists.table import table
from web.pages import page
from web.requests import PageRequest
from web.session import Reader

ROWS = 6


@dataclass(frozen=True)
class Tile:
    """A list's view with few rows and columns; ``url`` is where the whole of it stands."""

    name: str
    title: str
    screen: Screen
    query: str
    columns: Sequence[str]
    empty: str

    @property
    def url(self) -> str:
        return f"{self.screen.url}?{self.query}" if self.query else self.screen.url


ACCOUNTS, ORDERS, PRODUCTS = SCREENS["accounts"], SCREENS["orders"], SCREENS["products"]
TILES = (
    Tile(
        "ship",
        "Orders to ship",
        ORDERS,
        "status=confirmed&sort=due",
        ("number", "account", "due", "total"),
        "Confirmed orders wait here until they are shipped, the most urgent first.",
    ),
    Tile(
        "drafts",
        "Orders being written",
        ORDERS,
        "status=draft&sort=-changed",
        ("number", "account", "changed", "total"),
        "Orders that nobody has confirmed yet stand here.",
    ),
    Tile(
        "hold",
        "Accounts on hold",
        ACCOUNTS,
        "status=On+Hold&sort=-balance",
        ("name", "owner", "balance"),
        "Accounts that Finance has put on hold stand here.",
    ),
    Tile(
        "changed",
        "Accounts changed lately",
        ACCOUNTS,
        "sort=-changed",
        ("name", "owner", "changed"),
        "Accounts stand here as they change.",
    ),
    Tile(
        "prices",
        "Products changed lately",
        PRODUCTS,
        "sort=-changed",
        ("name", "sku", "changed", "price"),
        "Products stand here as they change.",
    ),
)


def tiles_of(reader: Reader) -> list[Tile]:
    """What the person may see, four at most."""
    return [tile for tile in TILES if reader.may(tile.screen.listing.permission)][:4]


@page()
def home(request: PageRequest) -> HttpResponse:
    return show(request, "shell/home.html", {"tiles": tiles_of(request.reader)}, title="Home", section="home")


@page()
def tile(request: PageRequest, name: str) -> HttpResponse:
    found = next((tile for tile in tiles_of(request.reader) if tile.name == name), None)
    if found is None:
        raise Http404
    listing = found.screen.listing
    wanted = asked(listing, visible(listing, request.reader.principal), QueryDict(found.query))
    wanted.shown = list(found.columns)
    query = wanted.query(limit=ROWS)
    read = read_page(settings.HEADWATER_WAREHOUSE, request.reader.principal, listing, query)
    counted = totals(settings.HEADWATER_WAREHOUSE, request.reader.principal, listing, replace(query, columns=[]))
    context = {
        "panel_id": f"home-{name}",
        "title": found.title,
        "src": f"/home/{name}",
        "fresh": freshness(read.watermark, request.reader.positions),
        "table": table(found.screen, wanted, read, choosable=False),
        "count": counted.count,
        "tile": found,
    }
    return part(request, "shell/home_tile.html", context, title=found.title, section="home")
