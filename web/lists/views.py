"""The addresses of lists: the page, its views, what is done with many rows, and the file to take away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.urls import URLPattern, path

from bi.lists.read import page as read_page
from bi.lists.read import totals as read_totals
from bi.lists.read import visible
from transactional.kernel.problems import Problem
from web import commands
from web.answers import Crumb, Toast, Undo, go, local, part, show
from web.forms import words
from web.freshness import freshness
from web.lists import export, filtering
from web.lists.asked import Asked, asked
from web.lists.bulk import Outcome, run
from web.lists.people import people
from web.lists.saved import tabs
from web.lists.screens import SCREENS, Screen
from web.lists.table import foot, table
from web.pages import page
from web.requests import PageRequest, is_fragment

View = Callable[..., HttpResponseBase]


def urls() -> list[URLPattern]:
    """Up to five addresses for each list."""
    found = []
    for screen in SCREENS.values():
        name = screen.name
        found += [
            path(name, _list(screen)),
            path(f"{name}/totals", _totals(screen)),
            path(f"{name}/export.csv", _export(screen)),
            path(f"{name}/views", _views(screen)),
        ]
        if screen.bulk:
            found.append(path(f"{name}/bulk", _bulk(screen)))
    return found


def _list(screen: Screen) -> View:
    @page(screen.listing.permission)
    def listed(request: PageRequest) -> HttpResponse:
        return _show(request, screen, _asked(request, screen, request.GET))

    return listed


def _totals(screen: Screen) -> View:
    @page(screen.listing.permission)
    def totalled(request: PageRequest) -> HttpResponse:
        """The list's last line, for the script; on a page of its own, each currency by itself, without it."""
        reader = request.reader
        wanted = _asked(request, screen, request.GET)
        found = read_totals(settings.HEADWATER_WAREHOUSE, reader.principal, screen.listing, wanted.query())
        context = {
            "screen": screen,
            "wanted": wanted,
            "columns": found.columns,
            "foot": foot(screen, found),
            "fresh": freshness(found.watermark, reader.positions),
            "choosable": bool(screen.bulk_for(reader)),
            "alone": not is_fragment(request),
        }
        title = f"Totals of {screen.name}"
        crumbs = (Crumb(screen.title, wanted.to()), Crumb("Totals"))
        return part(request, "lists/totals.html", context, title=title, section=screen.name, crumbs=crumbs)

    return totalled


def _asked(request: PageRequest, screen: Screen, data: QueryDict) -> Asked:
    return asked(screen.listing, visible(screen.listing, request.reader.principal), data)


def _show(
    request: PageRequest,
    screen: Screen,
    wanted: Asked,
    *,
    outcome: Outcome | None = None,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    reader = request.reader
    found = read_page(settings.HEADWATER_WAREHOUSE, reader.principal, screen.listing, wanted.query())
    written = commands.written(request)
    fresh = freshness(found.watermark, reader.positions.and_(written))
    bulk = screen.bulk_for(reader)
    context = {
        "screen": screen,
        "wanted": wanted,
        "tabs": tabs(screen, wanted, reader),
        "table": table(screen, wanted, found, choosable=bool(bulk)),
        "fresh": fresh,
        "bulk": bulk,
        "people": people(reader) if any(b.ask for b in bulk) else [],
        "outcome": outcome,
        "said": said,
        "here": _here(wanted),
        "fields": filtering.forms(wanted),
        "columns": filtering.columns(wanted),
        "kept_q": wanted.kept("q"),
        "kept_col": wanted.kept("col"),
        "export": f"{screen.url}/export.csv" + (f"?{wanted.address}" if wanted.address else ""),
        "creates": bool(screen.create) and reader.may(screen.create_permission),
    }
    return show(
        request,
        "lists/list.html",
        context,
        title=screen.title,
        section=screen.name,
        crumbs=(Crumb(screen.title),),
        status=status,
        toast=_toast(screen, outcome),
    )


def _here(wanted: Asked) -> str:
    """The page's own address, place included."""
    if wanted.before:
        return wanted.to(before=str(wanted.before))
    return wanted.to(after=str(wanted.after)) if wanted.after else wanted.to()


def _toast(screen: Screen, outcome: Outcome | None) -> Toast | None:
    if outcome is None or not outcome.done:
        return None
    undo = None
    if outcome.bulk.undo:
        ids = ",".join(str(verdict.key) for verdict in outcome.done)
        undo = Undo(f"{screen.url}/bulk", {"do": outcome.bulk.undo, "ids": ids})
    return Toast(outcome.sentence, undo=undo)


def _export(screen: Screen) -> View:
    @page(screen.listing.permission)
    def exported(request: PageRequest) -> HttpResponseBase:
        wanted = _asked(request, screen, request.GET)
        lines = export.lines(request.reader, screen, wanted)
        name = f"{screen.name}-{datetime.now(UTC):%Y-%m-%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    return exported


def _bulk(screen: Screen) -> View:
    @page(screen.listing.permission, methods=("POST",))
    def many(request: PageRequest) -> HttpResponse:
        chosen = next((b for b in screen.bulk_for(request.reader) if b.name == request.POST.get("do")), None)
        wanted = _asked(request, screen, QueryDict(local(request.POST.get("here", screen.url)).partition("?")[2]))
        if chosen is None:
            return _show(request, screen, wanted, said="Choose what to do with these rows.", status=422)
        keys = _keys(request)
        if not keys:
            return _show(request, screen, wanted, said="Choose at least one row first.", status=422)
        return _show(request, screen, wanted, outcome=run(request, screen, chosen, keys))

    return many


def _keys(request: PageRequest) -> list[UUID]:
    found: dict[UUID, None] = {}
    for text in [one for value in request.POST.getlist("ids") for one in value.split(",")]:
        try:
            found[UUID(text)] = None
        except ValueError:
            continue
    return list(found)


def _views(screen: Screen) -> View:
    @page(screen.listing.permission, methods=("POST",))
    def views(request: PageRequest) -> HttpResponse:
        """Keeps, changes or removes a view of the person's own, then shows it."""
        wanted = _asked(request, screen, QueryDict(local(request.POST.get("here", screen.url)).partition("?")[2]))
        try:
            key, toast = _keep(request, screen, wanted)
        except Problem as problem:
            said = words(problem.errors[0], "Name") if problem.errors else problem.detail
            return _show(request, screen, wanted, said=said, status=problem.status)
        query = wanted.address if key else ""
        parts = [query] if query else []
        if key:
            parts.append(urlencode({"view": key}))
        return go(request, screen.url + ("?" + "&".join(parts) if parts else ""), toast=toast)

    return views


def _keep(request: PageRequest, screen: Screen, wanted: Asked) -> tuple[str, Toast]:
    """The view's id ("" once removed) and what to say."""
    do = request.POST.get("do", "")
    if do == "change":
        view = commands.run(request, "identity.update_saved_view", {"id": wanted.view, "query": wanted.address}).data
        return view["id"], Toast(f"View “{view['name']}” changed")
    if do == "remove":
        gone = commands.run(request, "identity.remove_saved_view", {"id": wanted.view}).data
        again = {"do": "keep", "name": gone["name"], "here": wanted.to()}
        return "", Toast(f"View “{gone['name']}” removed", undo=Undo(f"{screen.url}/views", again))
    payload = {"list_name": screen.name, "name": request.POST.get("name", ""), "query": wanted.address}
    view = commands.run(request, "identity.create_saved_view", payload).data
    return view["id"], Toast(f"View “{view['name']}” kept")
