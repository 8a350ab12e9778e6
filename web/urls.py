"""Addresses of the application. Records and the Stream page bring their own; every view here is a page (``@page``)."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from web.assets import serve
from web.finding import views as finding
from web.lists import views as lists
from web.shell import home
from web.shell import views as shell
from web.shell.frame import is_here

PARTS = ("web.records.urls", "web.stream.urls")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home),
    path("home/<slug:name>", home.tile),
    path("login", shell.log_in),
    path("logout", shell.log_out),
    path("theme", shell.theme),
    path("palette", shell.palette),
    path("styleguide", shell.styleguide),
    *lists.urls(),
    *finding.urlpatterns,
    path("static/<str:mark>/<path:path>", serve),
    *(path("", include(urls)) for urls in PARTS if is_here(urls)),
]
