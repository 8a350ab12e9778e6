"""Addresses of the read API, below ``/api/``."""

from __future__ import annotations

from django.urls import path

from bi.views import Account360View

urlpatterns = [path("360/accounts/<str:account_uuid>", Account360View.as_view())]
