"""Logging in and out, and logging in again in the middle of something without losing what was typed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from transactional.kernel.problems import Problem
from web import session
from web.answers import local, show
from web.requests import PageRequest, is_fragment

USERNAME, PASSWORD = "login_username", "login_password"
"""Fields that any form may carry: the person is logged in first, then the form is dealt with."""
OWN_FIELDS = (USERNAME, PASSWORD, "csrfmiddlewaretoken")
MAX_KEPT_FIELDS = 200


def came_with(request: HttpRequest) -> bool:
    """Whether the form carries a login."""
    return request.method == "POST" and USERNAME in request.POST


def again(request: HttpRequest) -> tuple[session.Reader | None, HttpResponse | None]:
    """Logs in with the fields of a form that met the end of its session; or the page that asks once more."""
    try:
        return session.log_in(request, request.POST[USERNAME], request.POST.get(PASSWORD, "")), None
    except Problem as problem:
        return None, required(request, said=problem)


def required(request: HttpRequest, said: Problem | None = None) -> HttpResponse:
    """The page that asks who it is. A form's fields go along and are sent again with the login."""
    kept: list[tuple[str, str]] = []
    if request.method == "POST":
        kept = [(name, value) for name, values in request.POST.lists() if name not in OWN_FIELDS for value in values]
    status = said.status if said is not None and said.status == 503 else 401
    context = {
        "action": request.get_full_path() if request.method == "POST" else "/login",
        "next": request.get_full_path() if request.method != "POST" else "",
        "kept": kept[:MAX_KEPT_FIELDS],
        "username": request.POST.get(USERNAME, "") if request.method == "POST" else "",
        "said": words(said) if said is not None else "",
        "expired": bool(request.COOKIES.get(session.COOKIE)) or request.method == "POST",
    }
    if is_fragment(request):
        return HttpResponse(
            render_to_string("shell/login_again.html", context, request), status=status, headers={"HW-Login": "1"}
        )
    if request.method != "POST" and not request.COOKIES.get(session.COOKIE):
        context["expired"] = False
    return show(request, "shell/login.html", context, title="Log in", status=status)


def words(problem: Problem) -> str:
    """A refused login in the words of the page."""
    if problem.status == 401:
        return "The username or password is wrong. Check both and try again."
    if problem.status == 429:
        return "Too many attempts with this username. Wait five minutes, then try again."
    if problem.status == 503:
        return "Logging in is not possible at the moment. Try again in a moment."
    return "Enter your username and password."


def answer(request: PageRequest) -> HttpResponse:
    """``/login``: the form, and what comes of it."""
    goal = local(request.POST.get("next") or request.GET.get("next") or "/")
    context = {"action": "/login", "next": goal, "kept": [], "username": "", "said": "", "expired": False}
    if request.method != "POST":
        if getattr(request, "reader", None) is not None:
            return HttpResponse(status=303, headers={"Location": goal})
        return show(request, "shell/login.html", context, title="Log in")
    # The guard has logged the person in already where the fields were right.
    if getattr(request, "reader", None) is None:
        context |= {"said": "Enter your username and password."}
        return show(request, "shell/login.html", context, title="Log in", status=422)
    if is_fragment(request):
        return HttpResponse(status=204)
    return HttpResponse(status=303, headers={"Location": goal})
