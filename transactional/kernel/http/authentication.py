"""Bearer tokens: checked with identity's published keys and this service's own list of revocations."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest

from policy.principal import Principal
from policy.tokens import KeyRing, TokenRefused
from transactional.kernel import audit, revocation
from transactional.kernel.problems import Unauthenticated


@cache
def key_ring(path: Path) -> KeyRing:
    return KeyRing(path)


def bearer(request: HttpRequest) -> str:
    """The token of the request's Authorization header. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send a token of POST /api/identity/token as Authorization: Bearer.")
    return token.strip()


def signed(request: HttpRequest) -> Principal:
    """Whom identity's signature names, for a process that hears of no revocation. Raises Unauthenticated."""
    try:
        return key_ring(settings.HEADWATER_JWKS).verify(bearer(request))
    except TokenRefused as refused:
        raise Unauthenticated(str(refused)) from None


def authenticate(request: HttpRequest, service: str) -> Principal:
    """Who sends the request. Raises Unauthenticated for a missing, forged, expired or revoked token."""
    try:
        principal = key_ring(settings.HEADWATER_JWKS).verify(bearer(request))
    except TokenRefused as refused:
        audit.note_access(service, "refused", None, f"{request.method} {request.path}", detail=str(refused))
        raise Unauthenticated(str(refused)) from None
    if revocation.is_revoked(service, principal):
        audit.note_access(service, "refused", principal, f"{request.method} {request.path}", detail="revoked token")
        raise Unauthenticated("The rights of this user changed after the token was issued; ask for a new one.")
    return principal
