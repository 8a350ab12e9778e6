"""Paths of the identity service: its registry's resources and commands, logins and keys."""

from __future__ import annotations

from django.urls import path

from transactional.identity.api import Behalf, Keys, Logout, Notes, Renewal, Token
from transactional.kernel.http.urls import service_urls

urlpatterns = [
    *service_urls("identity"),
    path("token", Token.as_view()),
    path("token/renew", Renewal.as_view()),
    path("token/behalf", Behalf.as_view()),
    path("logout", Logout.as_view()),
    path("notes", Notes.as_view()),
    path("keys", Keys.as_view()),
]
