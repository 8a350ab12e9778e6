"""Paths of the sample service."""

from __future__ import annotations

from transactional.kernel.http.urls import service_urls

urlpatterns = service_urls("shelf")
