"""What every address of the application goes through: who asks, may they, is the form genuine, and the headers.

A view is made a page by ``@page``; there is no other way in (a test walks the addresses).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.text import compress_string
from django.views.decorators.csrf import csrf_protect

from bi.warehouse import WarehouseUnavailable
from policy.problems import Problem as ReadProblem
from search.errors import StaleToken
from transactional.kernel.problems import Problem
from web import errors, login, positions, session
from web.requests import PageRequest

log = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "private, no-store",
}
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_FORM_BYTES = 2 * 1024 * 1024
COMPRESSED_FROM = 860
"""Bytes; below this a packet carries it anyway."""
# The random padding that keeps a compressed page's length from telling a guessed secret (BREACH), as Django has it.
_PADDING = 100


def page(
    permission: str | None = None, *, methods: tuple[str, ...] = ("GET",), anonymous: bool = False
) -> Callable[[View], View]:
    """Makes a view a page.

    ``permission``: what the reader needs to see it at all. ``methods``: ``GET`` includes HEAD. ``anonymous``: also for
    nobody in particular; ``request.reader`` is then absent without a session.
    """

    def decorate(view: View) -> View:
        protected = csrf_protect(_known_reader(view, permission, anonymous))

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
            started = time.perf_counter()
            response = _refused(request, methods) or _safely(protected, request, *args, **options)
            return finish(request, response, started)

        guarded.is_page = True  # type: ignore[attr-defined]
        guarded.permission = permission  # type: ignore[attr-defined]
        guarded.anonymous = anonymous  # type: ignore[attr-defined]
        return guarded

    return decorate


def _refused(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse | None:
    """What no view needs to look at: another method, another content type, too much."""
    method = "GET" if request.method == "HEAD" else request.method
    if method not in methods:
        return errors.method(request, methods)
    if method == "POST":
        kind = (request.content_type or "").lower()
        if kind not in FORM_TYPES:
            return errors.unsupported(request, kind)
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_FORM_BYTES:
            return errors.too_large(request)
    return None


def _known_reader(view: View, permission: str | None, anonymous: bool) -> View:
    def known(request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
        asked = cast("PageRequest", request)
        reader = session.reader_of(asked)
        if reader is None and login.came_with(asked):
            reader, refusal = login.again(asked)
            if refusal is not None:
                return refusal
        if reader is not None:
            asked.reader = reader
        elif not anonymous:
            return login.required(asked)
        if permission is not None and (reader is None or not reader.may(permission)):
            return errors.forbidden(asked)
        return view(asked, *args, **options)

    return known


def _safely(view: View, request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
    """The view's answer, or the page that says why there is none."""
    try:
        return _with_present_rights(view, request, *args, **options)
    except Http404:
        return errors.absent(request)
    except (Problem, ReadProblem) as problem:
        return errors.refused(request, problem)
    except WarehouseUnavailable:
        return errors.unavailable(request)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return errors.fault(request)


def _with_present_rights(view: View, request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
    """The view; once more with a new token where the read side knows of a change of rights before this process does."""
    try:
        return view(request, *args, **options)
    except (ReadProblem, StaleToken) as problem:
        if request.method != "GET" or getattr(problem, "status", 401) != 401:
            raise
        session.forget_person(cast("PageRequest", request).reader)
    return view(request, *args, **options)


def finish(request: HttpRequest, response: HttpResponseBase, started: float | None = None) -> HttpResponseBase:
    """Cookies, headers and compression of every answer of the application."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if isinstance(response, HttpResponse):
        session.keep(request, response)
        positions.keep(request, response)
        _compress(request, response)
    if started is not None:
        response.headers["Server-Timing"] = f"app;dur={(time.perf_counter() - started) * 1000:.1f}"
    return response


def _compress(request: HttpRequest, response: HttpResponse) -> None:
    response.headers["Vary"] = "Accept-Encoding, Cookie, HW-Fragment"
    if "Content-Encoding" in response.headers or len(response.content) < COMPRESSED_FROM:
        return
    if "gzip" not in request.headers.get("Accept-Encoding", "").lower():
        return
    response.content = compress_string(response.content, max_random_bytes=_PADDING)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.content))


@page(anonymous=True, methods=("GET", "POST"))
def no_route(request: HttpRequest) -> HttpResponse:
    """Django's ``handler404`` for addresses of people."""
    return errors.absent(request)


def forged(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Django's ``CSRF_FAILURE_VIEW``. It is asked before the reader is known."""
    return errors.forged(request, reason)
