"""Who sits at the screen: a session cookie that holds identity's secret, and the short-lived token it buys.

Nothing about a person is kept here: the cookie is the whole session, so any web process serves any request. A token is
remembered in memory for a minute, so that a page does not cost a signature and a session that was ended elsewhere ends
here within that minute.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from policy.decide import may
from policy.principal import Principal
from policy.tokens import KeyRing, TokenRefused
from transactional.kernel import revocation, sessions
from transactional.kernel.calls import fetch, invoke
from transactional.kernel.context import Context
from transactional.kernel.problems import Problem, Unauthenticated
from web.positions import Positions

COOKIE = "hw_session"
COOKIE_SECONDS = 12 * 3600
"""As long as identity keeps a session."""
REMEMBERED_SECONDS = 60.0
MAX_REMEMBERED = 10_000


@dataclass(frozen=True)
class Reader:
    """The person a page is made for. ``name`` is what others call them; ``positions`` is what they last wrote."""

    principal: Principal
    name: str
    token: str = field(repr=False)
    positions: Positions = field(default_factory=Positions)

    def may(self, permission: str) -> bool:
        return may(self.principal.roles, permission)

    def ctx(self, **said: Any) -> Context:
        """A context for ``kernel.invoke`` and ``fetch``: ``idempotency_key``, ``expected_version``, ``reason``."""
        return Context(actor=self.principal, token=self.token, **said)

    @property
    def key(self) -> str:
        """Names the person towards their own browser's storage; says nothing to anybody else."""
        return hashlib.sha256(f"{settings.SECRET_KEY}{self.principal.user_id}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class _Remembered:
    reader: Reader
    until: float


_known: dict[str, _Remembered] = {}
_lock = threading.Lock()


def reader_of(request: HttpRequest) -> Reader | None:
    """The person of the request's cookie; None without a session that lives. Raises Problem while identity is away."""
    secret = request.COOKIES.get(COOKIE, "")
    return _reader(secret, Positions.of(request)) if secret else None


def log_in(request: HttpRequest, username: str, password: str) -> Reader:
    """Opens a session; ``keep`` puts it on the answer. Raises Problem with words for the person."""
    login = sessions.log_in(username, password)
    reader = _remember(login.session, login.token)
    request.opened_session = login.session  # type: ignore[attr-defined]
    return reader


def log_out(request: HttpRequest) -> None:
    """Ends the session, wherever else it is open as well."""
    secret = request.COOKIES.get(COOKIE, "")
    with _lock:
        _known.pop(secret, None)
    try:
        sessions.log_out(secret)
    except Unauthenticated:
        return


def log_out_everywhere(request: HttpRequest) -> None:
    """Ends every session of the person; tokens that were bought before die at every service."""
    reader: Reader = request.reader  # type: ignore[attr-defined]
    invoke("identity.end_own_sessions", {"id": str(reader.principal.user_id)}, reader.ctx())
    forget_person(reader)


def forget_person(reader: Reader) -> None:
    """Their rights or sessions changed: every token of theirs is bought anew."""
    with _lock:
        for secret in [s for s, r in _known.items() if r.reader.principal.user_id == reader.principal.user_id]:
            del _known[secret]


def keep(request: HttpRequest, response: HttpResponse) -> None:
    """Puts a session that this request opened into the cookie."""
    secret = getattr(request, "opened_session", None)
    if secret:
        response.set_cookie(
            COOKIE,
            secret,
            max_age=COOKIE_SECONDS,
            httponly=True,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )


def _reader(secret: str, positions: Positions) -> Reader | None:
    found = _known.get(secret)
    if found is None or found.until < time.monotonic() or _revoked(found.reader.principal):
        try:
            fresh = _remember(secret, sessions.renew(secret))
        except Unauthenticated:
            with _lock:
                _known.pop(secret, None)
            return None
        except Problem:
            # Identity is away: whoever holds a live token goes on with it.
            if found is None or _verified(found.reader.token) is None:
                raise
            fresh = found.reader
    else:
        fresh = found.reader
    return Reader(fresh.principal, fresh.name, fresh.token, positions)


def _revoked(principal: Principal) -> bool:
    """As a service of this process has heard. One without services hears nothing: a session that was ended elsewhere
    ends here when its token is bought anew."""
    if not settings.HEADWATER_SERVICES:
        return False
    return revocation.is_revoked(settings.HEADWATER_SERVICES[0], principal)


def _verified(token: str) -> Principal | None:
    try:
        return _key_ring(Path(settings.HEADWATER_JWKS)).verify(token)
    except TokenRefused:
        return None


@cache
def _key_ring(path: Path) -> KeyRing:
    return KeyRing(path)


def _remember(secret: str, token: str) -> Reader:
    principal = _verified(token)
    if principal is None:
        raise Unauthenticated("The session is over; log in again.")
    reader = Reader(principal, _display_name(principal, token), token)
    now = time.monotonic()
    with _lock:
        if len(_known) >= MAX_REMEMBERED:
            for old in [s for s, r in _known.items() if r.until < now] or list(_known)[: MAX_REMEMBERED // 10]:
                del _known[old]
        _known[secret] = _Remembered(reader, now + REMEMBERED_SECONDS)
    return reader


def _display_name(principal: Principal, token: str) -> str:
    """What colleagues call them; their username where the directory does not say."""
    if principal.user_id is None:
        return principal.name
    try:
        found: Mapping[str, Any] = fetch(
            "identity.user_account", principal.user_id, Context(actor=principal, token=token)
        )
    except Problem:
        return principal.name
    return str(found["display_name"])
