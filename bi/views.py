"""The read API's addresses, thin: who asks, what for, and the answer or the refusal."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from bi.account_360 import PERMISSION, account_360
from bi.problems import Problem, absent, method_not_allowed, unauthenticated
from bi.schema import Account360, ProblemDetails
from policy.principal import Principal
from policy.tokens import KeyRing, TokenRefused

_PROBLEM = "application/problem+json"
_REFUSALS = {
    401: "No token, or not a good one",
    403: "The role lacks the permission",
    404: "No such account, or none that the caller may see",
    405: "Method not allowed",
    503: "The warehouse gives no answer",
}


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


class Account360View(APIView):
    """One account with everything around it."""

    http_method_names = ["get", "head"]
    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)

    @extend_schema(
        operation_id="account_360",
        tags=["360"],
        description="Master data, hierarchy, contacts, finance profile, last orders, totals and change timeline of an"
        " account, live to the last landed batch; `watermark` says to which, per source. A section that the caller's"
        f" roles do not open is null.\n\nPermission `{PERMISSION}`.",
        request=None,
        responses={
            200: Account360,
            **{(s, _PROBLEM): OpenApiResponse(ProblemDetails, description=d) for s, d in _REFUSALS.items()},
        },
        parameters=[
            OpenApiParameter("account_uuid", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH, required=True)
        ],
    )
    def get(self, request: Request, account_uuid: str) -> HttpResponse:
        principal = reader(request._request)
        try:
            account = UUID(account_uuid)
        except ValueError:
            raise absent("contacts.account", ascii(account_uuid)) from None
        document = account_360(settings.HEADWATER_WAREHOUSE, principal, account)
        return HttpResponse(document, content_type="application/json", headers={"Cache-Control": "private, no-store"})

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """JSON is all there is, whatever the client accepts."""
        return self.renderer_classes[0](), "application/json"

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, MethodNotAllowed):
            exc = method_not_allowed(str(self.request.method))
        if not isinstance(exc, Problem):
            raise exc
        return exc.response(self.request.path)
