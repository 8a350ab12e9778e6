"""Paths of the contacts service: its registry's resources and commands."""

from __future__ import annotations

from transactional.kernel.http.urls import service_urls

urlpatterns = service_urls("contacts")
