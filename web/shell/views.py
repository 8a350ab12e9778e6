"""The frame's own addresses: home, theme, logging out, the palette's actions, the styleguide."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse

from web import login, session
from web.answers import Crumb, Toast, go, local, part, show
from web.pages import page
from web.requests import PageRequest, is_fragment
from web.shell.frame import THEME_COOKIE, THEMES, places_of
from web.shell.specimens import specimens

YEAR_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Action:
    """Something the palette offers: an address to go to, or a thing of the page to press (``press``: a selector)."""

    label: str
    icon: str
    url: str = ""
    press: str = ""
    key: str = ""
    also: str = ""
    permission: str | None = None


ACTIONS = (
    Action("New account", "plus", "/accounts/new", also="create add customer", permission="contacts.create_account"),
    Action("New contact", "plus", "/contacts/new", also="create add person", permission="contacts.create_contact"),
    Action("New order", "plus", "/orders/new", also="create add sale", permission="orders.create_sales_order"),
    Action("Light theme", "sun", press='[name="theme"][value="light"]', also="appearance colours"),
    Action("Dark theme", "moon", press='[name="theme"][value="dark"]', also="appearance colours"),
    Action("Theme of the system", "screen", press='[name="theme"][value="system"]', also="appearance colours"),
    Action("Keyboard shortcuts", "keyboard", press='.menu [data-action="help"]', key="?", also="help keys"),
    Action("Log out", "logout", press='form[action="/logout"] button', also="sign out leave"),
)


@page(methods=("GET", "POST"), anonymous=True)
def log_in(request: PageRequest) -> HttpResponse:
    return login.answer(request)


@page(methods=("POST",))
def log_out(request: PageRequest) -> HttpResponse:
    """Ends the session; ``everywhere`` ends every session of the person."""
    if request.POST.get("everywhere"):
        session.log_out_everywhere(request)
    else:
        session.log_out(request)
    response = go(request, "/login")
    response.delete_cookie(session.COOKIE)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@page(methods=("POST",))
def theme(request: PageRequest) -> HttpResponse:
    chosen = request.POST.get("theme", "")
    url = local(request.POST.get("next", "/"))
    response = HttpResponse(status=204) if is_fragment(request) else go(request, url)
    if chosen in THEMES:
        response.set_cookie(THEME_COOKIE, chosen, max_age=YEAR_SECONDS, samesite="Lax", httponly=True)
    return response


@page()
def palette(request: PageRequest) -> HttpResponse:
    """What the palette offers this person: the places they may see, and actions they may take."""
    actions = [a for a in ACTIONS if a.permission is None or request.reader.may(a.permission)]
    context = {"places": places_of(request.reader), "actions": actions}
    return part(request, "shell/palette_actions.html", context, title="Commands")


@page()
def styleguide(request: PageRequest) -> HttpResponse:
    return show(
        request,
        "shell/styleguide.html",
        specimens(),
        title="Styleguide",
        crumbs=(Crumb("Styleguide"),),
        toast=Toast("Industry of Acme changed", undo=None) if request.GET.get("toast") else None,
    )
