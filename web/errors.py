"""Pages for when there is no page: what happened, and what to do about it. In a panel, a panel of the same words."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from web.answers import show
from web.requests import is_fragment


def absent(request: HttpRequest) -> HttpResponse:
    """Not there, or not theirs to see: the two look the same."""
    return _say(
        request,
        404,
        "There is nothing here",
        "The address is mistyped, the record was removed, or it belongs to people whose records you cannot see.",
    )


def forbidden(request: HttpRequest) -> HttpResponse:
    return _say(
        request,
        403,
        "You cannot open this page",
        "Your roles do not include it. If you need it for your work, ask whoever manages roles.",
    )


def refused(request: HttpRequest, problem: Any) -> HttpResponse:
    """What a command or a read API said: anything with ``status``, ``title`` and ``detail``."""
    if problem.status == 404:
        return absent(request)
    if problem.status == 403:
        return forbidden(request)
    if problem.status == 503:
        return unavailable(request)
    return _say(request, problem.status, problem.title, problem.detail)


def unavailable(request: HttpRequest) -> HttpResponse:
    return _say(
        request,
        503,
        "This is not available at the moment",
        "A part of the system gives no answer. What you wrote before is safe. Try again in a moment.",
        retry=True,
    )


def fault(request: HttpRequest) -> HttpResponse:
    return _say(
        request,
        500,
        "Something went wrong on our side",
        "It was noted with the time and this address. Try again; if it stays, tell whoever runs Headwater.",
        retry=True,
    )


def method(request: HttpRequest, allowed: tuple[str, ...]) -> HttpResponse:
    response = _say(
        request,
        405,
        "This address cannot be used that way",
        f"It takes {' and '.join(allowed)}, not {str(request.method)[:20]}.",
    )
    response["Allow"] = ", ".join(allowed)
    return response


def unsupported(request: HttpRequest, kind: str) -> HttpResponse:
    return _say(
        request,
        415,
        "This form has a form we do not read",
        "Send it as a web form (application/x-www-form-urlencoded). Programs use the API below /api/.",
    )


def too_large(request: HttpRequest) -> HttpResponse:
    return _say(request, 413, "That is too much at once", "Nothing was changed. Send less than 2 MB.")


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's ``CSRF_FAILURE_VIEW``: the form did not come from a page of ours, or its page is from before a login."""
    return _say(
        request,
        403,
        "This form could not be trusted",
        "It came from another site, or from a page that was opened before cookies were cleared. Nothing was changed."
        " Go back, reload the page, and send it again.",
    )


def _say(request: HttpRequest, status: int, title: str, detail: str, *, retry: bool = False) -> HttpResponse:
    context = {
        "status": status,
        "title": title,
        "detail": detail,
        "retry": retry and request.method in ("GET", "HEAD"),
        "address": request.get_full_path(),
    }
    if is_fragment(request):
        return HttpResponse(render_to_string("components/failed.html", context, request), status=status)
    return show(request, "errors/error.html", context, title=title, status=status)
