"""Addresses of the read API, below ``/api/``."""

from __future__ import annotations

from django.urls import path

from bi.timeline import SUBJECTS
from bi.views import Account360View, Product360View, SalesByYearView, timeline_view

urlpatterns = [
    path("360/accounts/<str:key>", Account360View.as_view()),
    path("360/accounts/<str:key>/sales-by-year", SalesByYearView.as_view()),
    path("360/products/<str:key>", Product360View.as_view()),
    *(path(f"360/{kind}s/<str:key>/timeline", timeline_view(kind).as_view()) for kind in SUBJECTS),
]
