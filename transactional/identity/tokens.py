"""Issuing tokens: signing keys and their published halves, logins, and the sessions that outlive a token."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connections, transaction
from django.db.models import Q
from uuid_utils.compat import uuid7

from policy.principal import Principal
from policy.tokens import public_jwk, sign
from transactional.identity.models import Credential, LoginSession, SigningKey, UserAccount
from transactional.identity.queries import teams_below
from transactional.kernel import audit
from transactional.kernel.base import now
from transactional.kernel.models import AccessLog
from transactional.kernel.problems import Absent, TooManyAttempts, Unauthenticated

SESSION = timedelta(hours=12)
PUBLISHED_AFTER_RETIREMENT = timedelta(days=1)
ATTEMPTS = 10
WINDOW = timedelta(minutes=5)
"""After ``ATTEMPTS`` failures within ``WINDOW`` a username must wait."""


@dataclass(frozen=True, slots=True)
class Login:
    """``token`` lasts ``policy.tokens.LIFETIME_SECONDS``; ``session`` is the secret that buys the next one."""

    token: str
    session: str


def issue(user: UserAccount, *, on_behalf_of: UUID | None = None) -> str:
    """A token with the user's present rights. The caller has made sure of who asks."""
    # A token that follows a change of rights within the same second must not look older than the change.
    issued = max(time.time(), float(user.tokens_valid_from))
    return signed(replace(principal_of(user), on_behalf_of=on_behalf_of), now=issued)


def signed(principal: Principal, *, now: float | None = None) -> str:
    """A token for a principal, signed with the present key."""
    key = signing_key()
    private = load_pem_private_key(key.private_key.encode(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError(f"Signing key {key.kid} is not an Ed25519 key.")
    return sign(principal, private, key.kid, token_id=uuid7(), now=now)


def principal_of(user: UserAccount) -> Principal:
    """The user's rights as they are now."""
    return Principal(
        user_id=user.pk,
        name=user.username,
        roles=frozenset(user.roles),
        team_ids=tuple(teams_below(user.team_id)),
        territory_ids=tuple(user.territory_ids),
    )


def issue_for(username: str) -> str:
    """A token for an active user by name, for the ``headwater`` command. Raises Absent."""
    user = UserAccount.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Absent("active user", username)
    audit.note_access("identity", "login", principal_of(user), "headwater token")
    return issue(user)


def log_in(username: str, password: str) -> Login:
    """Checks the password; a token and a session. Raises Unauthenticated, TooManyAttempts; both leave a trace."""
    failures = AccessLog.objects.using("identity").filter(
        kind="login_failed", actor_name=username, at__gt=now() - WINDOW
    )
    if failures.count() >= ATTEMPTS:
        raise TooManyAttempts(
            f"Too many failed logins as {username!r}; wait {int(WINDOW.total_seconds() // 60)} minutes.",
            headers={"Retry-After": str(int(WINDOW.total_seconds()))},
        )
    user = UserAccount.objects.filter(username=username).first()
    credential = Credential.objects.filter(user=user).first() if user else None
    # An unknown name costs a hash too, so that the time of the answer does not tell who exists.
    right = check_password(password, credential.password if credential else _nobodys_password())
    if user is None or credential is None or not right or not user.is_active:
        audit.note_access("identity", "login_failed", None, "identity.token", actor_name=username)
        raise Unauthenticated("Username or password is wrong, or the user is not active.")
    audit.note_access("identity", "login", principal_of(user), "identity.token")
    secret = secrets.token_urlsafe(32)
    LoginSession.objects.create(user=user, secret_hash=_hash(secret), expires_at=now() + SESSION)
    return Login(issue(user), secret)


def renew(session: str) -> str:
    """A new token for a session that is still on. Raises Unauthenticated."""
    return issue(_live(session).user)


def log_out(session: str) -> None:
    """Ends a session; its tokens last out their minutes. Raises Unauthenticated for one that is over."""
    found = _live(session)
    LoginSession.objects.filter(pk=found.pk, ended_at__isnull=True).update(ended_at=now())
    audit.note_access("identity", "logout", principal_of(found.user), "identity.logout")


def signing_key() -> SigningKey:
    """The key that signs now; made, and published, when there is none."""
    key = SigningKey.objects.filter(retired_at__isnull=True).order_by("-created_at").first()
    return key or rotate()


def rotate() -> SigningKey:
    """Makes a new signing key and retires the others, which stay published until their tokens are over."""
    with transaction.atomic(using="identity"):
        with connections["identity"].cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtext('headwater.signing_key'))")
        private = Ed25519PrivateKey.generate()
        kid = secrets.token_hex(8)
        SigningKey.objects.filter(retired_at__isnull=True).update(retired_at=now())
        key = SigningKey.objects.create(
            kid=kid,
            private_key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            public_jwk=public_jwk(kid, private.public_key()),
        )
        # Before the commit: whatever dies here, a key that signs is published; one too many published harms nobody.
        publish_keys(settings.HEADWATER_JWKS)
    return key


def jwks() -> dict[str, Any]:
    """The published keys (RFC 7517): those that sign or have signed tokens that may still live."""
    current = Q(retired_at__isnull=True) | Q(retired_at__gt=now() - PUBLISHED_AFTER_RETIREMENT)
    return {"keys": list(SigningKey.objects.filter(current).order_by("kid").values_list("public_jwk", flat=True))}


def publish_keys(path: Path) -> None:
    """Writes the JWKS file that every service of this installation reads, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(orjson.dumps(jwks()))
    partial.replace(path)


def _live(session: str) -> LoginSession:
    found = (
        LoginSession.objects.select_related("user")
        .filter(secret_hash=_hash(session), ended_at__isnull=True, expires_at__gt=now(), user__is_active=True)
        .first()
    )
    if found is None:
        raise Unauthenticated("The session is over; log in again.")
    return found


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@cache
def _nobodys_password() -> str:
    return make_password(secrets.token_urlsafe(16))
