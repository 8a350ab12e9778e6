"""The Stream page and its live part; replaying what is parked."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpResponse

from bi.warehouse import WarehouseUnavailable
from web import errors
from web.answers import Crumb, Toast, go, part, show
from web.noting import note
from web.pages import page
from web.requests import PageRequest, is_fragment
from web.stream import view_models
from web.stream.port import Operations, operations

READ, REPLAY = "stream.read", "stream.replay"
SHOWN = 30
"""Changes in the table of those that pass."""
_CRUMBS = (Crumb("Stream"),)


@page(READ)
def stream(request: PageRequest) -> HttpResponse:
    """The whole page as it stands now; the script then asks for its live part every two seconds."""
    return show(request, "stream/stream.html", _now(request), title="Stream", section="stream", crumbs=_CRUMBS)


@page(READ)
def live(request: PageRequest) -> HttpResponse:
    return part(request, "stream/live.html", _now(request), title="Stream", section="stream", crumbs=_CRUMBS)


@page(READ, methods=("POST",))
def replay(request: PageRequest) -> HttpResponse:
    """Tries one parked thing again, or all. Who may is an administrator; who asked stands in the access log."""
    kind, key = request.POST.get("kind", ""), request.POST.get("key", "")
    if not request.reader.may(REPLAY):
        _note(request, "refused", kind, key, "no permission")
        return errors.forbidden(request)
    found = operations()
    if kind == "all":
        toast = Toast(_replay_all(request, found))
    else:
        try:
            said = found.replay(kind, key)
            _note(request, "replay", kind, key, said)
            toast = Toast(said)
        except LookupError as error:
            toast = Toast(str(error.args[0]), "warn")
    if is_fragment(request):
        return part(request, "stream/live.html", _now(request), title="Stream", toast=toast)
    return go(request, "/stream", toast=toast)


def _replay_all(request: PageRequest, found: Operations) -> str:
    tried = 0
    for item in {(item.kind, item.key): item for item in found.parked() if item.replayable}.values():
        try:
            _note(request, "replay", item.kind, item.key, found.replay(item.kind, item.key))
        except LookupError:
            continue  # somebody else was faster, or an event before it took it along
        tried += 1
    return f"{tried} tried again." if tried else "Nothing is parked any more."


def _note(request: PageRequest, kind: Literal["replay", "refused"], what: str, key: str, detail: str) -> None:
    note(request.reader, kind, REPLAY, service="identity", resource=f"stream.{what}", resource_id=key, detail=detail)


def _now(request: PageRequest) -> dict[str, Any]:
    """Each part by itself: a warehouse that is away leaves the rest of the page."""
    found = operations()
    state = found.state()
    changes, ticks, parked = _try(lambda: found.passing(SHOWN)), _try(found.ticks), _try(found.parked)
    known = [source.lag_seconds for source in state.sources if source.lag_seconds is not None]
    return {
        "state": state,
        "verdict": view_models.verdict(state, parked),
        "passing": None if changes is None else view_models.passing(changes, request.reader.principal.user_id),
        "spark": None if ticks is None else view_models.spark(ticks),
        "sources": view_models.sources(state),
        "queues": view_models.queues(state),
        "processes": view_models.processes(state),
        "lineage": view_models.lineage(state),
        "parked": parked,
        "replayable": bool(parked) and any(item.replayable for item in parked or ()),
        "may_replay": request.reader.may(REPLAY),
        "lag": view_models.duration(max(known, default=None)),
        "waiting": sum(queue.pending for queue in state.queues),
    }


def _try(look: Any) -> Any:
    try:
        return look()
    except WarehouseUnavailable:
        return None
