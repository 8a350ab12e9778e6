"""Every address of this process: the hosted services, their OpenAPI document, and whether it is healthy."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.utils import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path

from transactional.kernel.http.schema import openapi

handler400 = "transactional.kernel.http.answers.bad_request"
handler404 = "transactional.kernel.http.answers.no_route"
handler500 = "transactional.kernel.http.answers.fault"


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


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("api/openapi.json", openapi),
    path("api/", include("bi.urls")),
    *(
        path(f"api/{service}/", include(f"{apps.get_app_config(service).name}.urls"))
        for service in settings.HEADWATER_SERVICES
    ),
]
