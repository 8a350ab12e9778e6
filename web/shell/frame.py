"""What the frame shows around a page: the rail's entries that the reader may see, theme, assets."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from django.http import HttpRequest

from web.session import Reader

THEMES = ("system", "light", "dark")
THEME_COOKIE = "hw_theme"
RAIL_COOKIE = "hw_rail"


@dataclass(frozen=True)
class Place:
    """An entry of the rail. ``key`` goes there after ``g``; ``module`` must be there for the place to exist."""

    name: str
    label: str
    url: str
    icon: str
    key: str
    permission: str | None = None
    group: str = ""
    module: str | None = None


PLACES = (
    Place("home", "Home", "/", "home", "h"),
    Place("accounts", "Accounts", "/accounts", "building", "a", "contacts.account.read", "Sales"),
    Place("contacts", "Contacts", "/contacts", "person", "c", "contacts.contact.read", "Sales"),
    Place("orders", "Orders", "/orders", "receipt", "o", "orders.sales_order.read", "Sales"),
    Place("products", "Products", "/products", "box", "p", "inventory.product.read", "Stock"),
    Place("stream", "Stream", "/stream", "pulse", "s", "stream.read", "System", "web.stream.urls"),
)


@dataclass(frozen=True)
class Frame:
    """``reader`` is None on pages for nobody in particular (login, errors before it)."""

    title: str
    section: str
    theme: str
    narrow: bool
    reader: Reader | None
    places: tuple[Place, ...]
    address: str

    @property
    def groups(self) -> list[tuple[str, list[Place]]]:
        """The rail's entries under their headings, in order."""
        found: dict[str, list[Place]] = {}
        for place in self.places:
            found.setdefault(place.group, []).append(place)
        return list(found.items())


def frame(request: HttpRequest, title: str, section: str) -> Frame:
    reader: Reader | None = getattr(request, "reader", None)
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return Frame(
        title=title,
        section=section,
        theme=theme if theme in THEMES else "system",
        narrow=request.COOKIES.get(RAIL_COOKIE) == "narrow",
        reader=reader,
        places=places_of(reader),
        address=request.get_full_path(),
    )


def places_of(reader: Reader | None) -> tuple[Place, ...]:
    """The places that exist here and that the person may see."""
    if reader is None:
        return ()
    return tuple(
        place
        for place in PLACES
        if (place.permission is None or reader.may(place.permission))
        and (place.module is None or is_here(place.module))
    )


def is_here(module: str) -> bool:
    """Whether this release has the module."""
    package = module.rpartition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None
