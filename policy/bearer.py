"""Who asks a read API, by the bearer token of the request; and the view that answers with problem details."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from policy.principal import Principal
from policy.problems import Problem, method_not_allowed, unauthenticated
from policy.tokens import KeyRing, TokenRefused


@cache
def key_ring(path: Path) -> KeyRing:
    return KeyRing(path)


def reader(request: HttpRequest) -> Principal:
    """Who asks. Raises Problem 401 for a missing, forged or expired token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthenticated("Send a token of POST /api/identity/token as Authorization: Bearer.")
    try:
        return key_ring(Path(settings.HEADWATER_JWKS)).verify(token.strip())
    except TokenRefused as refused:
        raise unauthenticated(str(refused)) from None


class ReadView(APIView):
    """A GET of JSON; whoever subclasses it says who asks with ``reader`` and raises Problem for a refusal."""

    http_method_names = ["get", "head"]
    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """JSON is all there is, whatever the client accepts."""
        return self.renderer_classes[0](), "application/json"

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, MethodNotAllowed):
            exc = method_not_allowed(str(self.request.method))
        if not isinstance(exc, Problem):
            raise exc
        return exc.response(self.request.path)
