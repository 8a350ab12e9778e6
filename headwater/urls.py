"""Every address of this process: the hosted services, their OpenAPI document, and whether it is healthy."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.utils import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path

from headwater.openapi import document
from headwater.scrape import scrape
from transactional.kernel.http import answers
from transactional.kernel.http.authentication import authenticate, signed
from transactional.kernel.problems import Problem, Unavailable
from web import pages

handler400 = "transactional.kernel.http.answers.bad_request"
handler404 = "headwater.urls.no_route"
handler500 = "transactional.kernel.http.answers.fault"


def no_route(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A problem for programs, a page for people."""
    return answers.no_route(request, exception) if request.path.startswith("/api/") else pages.no_route(request)


def healthz(request: HttpRequest) -> HttpResponse:
    """200 where every hosted service reaches its database, else 503 with the services that do not."""
    silent = {}
    for service in settings.HEADWATER_SERVICES:
        try:
            with connections[service].cursor() as cursor:
                cursor.execute("select 1")
        except DatabaseError as error:
            silent[service] = str(error).strip()
    return JsonResponse({"services": settings.HEADWATER_SERVICES, "silent": silent}, status=503 if silent else 200)


def token_check(request: HttpRequest) -> HttpResponse:
    """204 for a live token, else 401: what a gateway asks. Every process answers, from what it knows.

    Where no service is hosted that is the signature alone. 503 where it cannot know: the gateway then asks another.
    """
    try:
        if settings.HEADWATER_SERVICES:
            authenticate(request, settings.HEADWATER_SERVICES[0])
        else:
            signed(request)
    except Problem as problem:
        return answers.refuse(problem, request)
    except DatabaseError:
        return answers.refuse(Unavailable("Revocations cannot be read; ask another process."), request)
    return HttpResponse(status=204)


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("metrics", scrape),
    path("api/openapi.json", document),
    path("api/token-check", token_check),
    path("api/", include("bi.urls")),
    path("api/", include("search.urls")),
    *(
        path(f"api/{service}/", include(f"{apps.get_app_config(service).name}.urls"))
        for service in settings.HEADWATER_SERVICES
    ),
    path("", include("web.urls")),
]
