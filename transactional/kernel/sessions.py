"""Logging in and out, whichever process hosts identity: in this one where it is here, else over HTTP.

Identity provides the functions when it starts; whoever shows pages to people calls these and knows no service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings

from policy.principal import Principal
from transactional.kernel.calls import post
from transactional.kernel.context import Context

SERVICE = "identity"
_NOBODY = Principal(user_id=None, name="nobody", roles=frozenset())


@dataclass(frozen=True, slots=True)
class Login:
    """``token`` lasts ``policy.tokens.LIFETIME_SECONDS``; ``session`` is the secret that buys the next one."""

    token: str
    session: str


class Issuer(Protocol):
    """What identity provides. Each raises Unauthenticated for a session that is over."""

    def log_in(self, username: str, password: str) -> Any:
        """Something with ``token`` and ``session``. Raises Unauthenticated, TooManyAttempts."""

    def renew(self, session: str) -> str:
        """The next token."""

    def log_out(self, session: str) -> None:
        """Ends the session."""


_issuers: list[Issuer] = []


def provide(issuer: Issuer) -> None:
    """Called by the service that issues tokens, when it starts in this process."""
    _issuers[:] = [issuer]


def log_in(username: str, password: str) -> Login:
    """Raises Unauthenticated, TooManyAttempts, Rejected, or Unavailable where identity gives no answer."""
    if _here():
        login = _issuers[0].log_in(username, password)
        return Login(login.token, login.session)
    answer = _ask("token", {"username": username, "password": password})
    return Login(answer["token"], answer["session"])


def renew(session: str) -> str:
    """A new token. Raises Unauthenticated, Unavailable."""
    return _issuers[0].renew(session) if _here() else str(_ask("token/renew", {"session": session})["token"])


def log_out(session: str) -> None:
    """Raises Unauthenticated, Unavailable."""
    if _here():
        _issuers[0].log_out(session)
    else:
        _ask("logout", {"session": session})


def _here() -> bool:
    return SERVICE in settings.HEADWATER_SERVICES


def _ask(path: str, payload: dict[str, str]) -> Any:
    return post(SERVICE, f"/api/{SERVICE}/{path}", payload, Context(actor=_NOBODY)).data
