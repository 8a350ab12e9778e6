"""Addresses of the Stream page."""

from __future__ import annotations

from django.urls import path

from web.stream import views

urlpatterns = [
    path("stream", views.stream),
    path("stream/live", views.live),
    path("stream/replay", views.replay),
]
