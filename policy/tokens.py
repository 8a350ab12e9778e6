"""Tokens: EdDSA JWTs of ten minutes that every service checks by itself, with public keys from a JWKS file.

Format: RFC 7519 (JWT), RFC 8037 (Ed25519 in JOSE), RFC 7517 (JWKS).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policy.principal import Principal

LIFETIME_SECONDS = 600
ISSUER = "headwater"
_LEEWAY_SECONDS = 5
_REQUIRED = ["sub", "name", "roles", "iat", "exp", "jti", "iss"]


class TokenRefused(Exception):
    """The token is not one that identity issued, or it is over; the message is safe to show to its sender."""


def sign(principal: Principal, key: Ed25519PrivateKey, kid: str, *, token_id: UUID, now: float | None = None) -> str:
    """A bearer token for ``principal``, valid for ``LIFETIME_SECONDS`` from ``now`` (Unix seconds)."""
    issued = int(time.time() if now is None else now)
    claims = {
        "iss": ISSUER,
        "sub": str(principal.user_id),
        "name": principal.name,
        "roles": sorted(principal.roles),
        "team_ids": [str(team) for team in principal.team_ids],
        "territory_ids": [str(territory) for territory in principal.territory_ids],
        "iat": issued,
        "exp": issued + LIFETIME_SECONDS,
        "jti": str(token_id),
    }
    if principal.on_behalf_of is not None:
        claims["on_behalf_of"] = str(principal.on_behalf_of)
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid})


def verify(token: str, keys: Mapping[str, Ed25519PublicKey]) -> Principal:
    """The principal of a token, or TokenRefused: bad form, unknown key, forged signature, expired, missing claims."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str) or kid not in keys:
            raise TokenRefused("The token is signed with a key that identity does not publish.")
        claims = jwt.decode(
            token,
            keys[kid],
            algorithms=["EdDSA"],
            issuer=ISSUER,
            leeway=_LEEWAY_SECONDS,
            options={"require": _REQUIRED, "verify_aud": False},
        )
        return _principal(claims)
    except jwt.ExpiredSignatureError:
        raise TokenRefused("The token has expired; ask identity for a new one.") from None
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise TokenRefused("The token is not valid.") from None


def _principal(claims: Mapping[str, Any]) -> Principal:
    behalf = claims.get("on_behalf_of")
    return Principal(
        user_id=UUID(claims["sub"]),
        name=str(claims["name"]),
        roles=frozenset(map(str, claims["roles"])),
        team_ids=tuple(UUID(team) for team in claims.get("team_ids", ())),
        territory_ids=tuple(UUID(territory) for territory in claims.get("territory_ids", ())),
        on_behalf_of=UUID(behalf) if behalf else None,
        issued_at=int(claims["iat"]),
    )


def public_jwk(kid: str, key: Ed25519PublicKey) -> dict[str, str]:
    """One key of a JWKS document."""
    document: dict[str, str] = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key))
    return document | {"kid": kid, "alg": "EdDSA", "use": "sig"}


def read_jwks(document: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Public keys by key id. Raises ValueError for a document that is no JWKS of Ed25519 keys."""
    keys: dict[str, Ed25519PublicKey] = {}
    try:
        for jwk in document["keys"]:
            key = jwt.algorithms.OKPAlgorithm.from_jwk(jwk)
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError(f"Key {jwk.get('kid')!r} is not an Ed25519 public key.")
            keys[jwk["kid"]] = key
    except (KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise ValueError(f"Not a JWKS document of Ed25519 keys: {error}") from error
    return keys


class KeyRing:
    """The published keys, read from a JWKS file and again when the file changes (a rotated key is seen at once)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Ed25519PublicKey] = {}

    def keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Keys by id; none while the file does not exist. A half-written or broken file keeps the keys known before."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return self._keys
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            with self._lock:
                try:
                    self._keys = read_jwks(json.loads(self._path.read_text()))
                    self._stamp = stamp
                except ValueError:
                    return self._keys
        return self._keys

    def verify(self, token: str) -> Principal:
        """``verify`` with the keys of the file."""
        return verify(token, self.keys())
