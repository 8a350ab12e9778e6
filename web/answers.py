"""Answers of views: a page in its shell, a part of one, or the way to another page; each may bring a toast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from web.requests import is_fragment
from web.shell.frame import frame

FLASH_COOKIE = "hw_flash"
FLASH_SECONDS = 60


@dataclass(frozen=True)
class Undo:
    """A form that takes the change back: where it posts and its fields."""

    action: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Toast:
    """One sentence about what was done. ``tone``: good, info, warn or bad. ``undo`` is offered for eight seconds."""

    text: str
    tone: str = "good"
    undo: Undo | None = None


@dataclass(frozen=True)
class Crumb:
    label: str
    url: str = ""


def show(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    title: str,
    section: str = "",
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
    toast: Toast | None = None,
) -> HttpResponse:
    """A whole page: ``template`` extends ``base.html``. ``section`` is the rail's entry that is lit."""
    flashed = _flashed(request)
    toasts = [t for t in (flashed, toast) if t is not None]
    whole = {**(context or {}), "frame": frame(request, title, section), "crumbs": crumbs, "toasts": toasts}
    response = HttpResponse(render_to_string(template, whole, request), status=status)
    if flashed is not None:
        response.delete_cookie(FLASH_COOKIE)
    return response


def part(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    title: str = "",
    section: str = "",
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
    toast: Toast | None = None,
) -> HttpResponse:
    """A part of a page for the script; for whoever comes without it, the same part on a page of its own."""
    toasts = [toast] if toast is not None else []
    if is_fragment(request):
        content = render_to_string(template, dict(context or {}), request)
        if toasts:
            content += render_to_string("components/toasts.html", {"toasts": toasts}, request)
        return HttpResponse(content, status=status)
    content = render_to_string(template, dict(context or {}), request)
    return show(
        request,
        "shell/alone.html",
        {"content": content},
        title=title,
        section=section,
        crumbs=crumbs,
        status=status,
        toast=toast,
    )


def go(request: HttpRequest, url: str, *, toast: Toast | None = None) -> HttpResponse:
    """After something was done: on to ``url`` (of our own), where the toast is shown."""
    if is_fragment(request):
        response = HttpResponse(status=204, headers={"HW-Location": url})
    else:
        response = HttpResponse(status=303, headers={"Location": url})
    if toast is not None:
        response.set_cookie(
            FLASH_COOKIE,
            signing.dumps(asdict(toast), salt=FLASH_COOKIE, compress=True),
            max_age=FLASH_SECONDS,
            httponly=True,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )
    return response


def local(url: str, otherwise: str = "/") -> str:
    """``url`` if it leads nowhere but to a page of ours; it may come from a form or an address."""
    safe = url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable() and "\\" not in url
    return url if safe and len(url) <= 2000 else otherwise


def _flashed(request: HttpRequest) -> Toast | None:
    value = request.COOKIES.get(FLASH_COOKIE)
    if not value:
        return None
    try:
        known = signing.loads(value, salt=FLASH_COOKIE, max_age=FLASH_SECONDS)
    except signing.BadSignature:
        return None
    undo = known.pop("undo", None)
    return Toast(**known, undo=Undo(**undo) if undo else None)
