"""Tokens: what is signed is what is read; anything else is refused."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policy.principal import Principal
from policy.tokens import ISSUER, KeyRing, TokenRefused, public_jwk, read_jwks, sign, verify

KEY = Ed25519PrivateKey.generate()
KEYS = {"one": KEY.public_key()}
ID = UUID(int=9)
PERSON = Principal(
    UUID(int=1), "alice", frozenset({"sales_rep"}), (UUID(int=2), UUID(int=3)), (UUID(int=4),), UUID(int=5)
)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {"iss": ISSUER, "sub": str(UUID(int=1)), "name": "x", "roles": [], "iat": now, "exp": now + 60, "jti": "j"}
    return {name: value for name, value in (given | changes).items() if value is not None}


def encoded(content: dict[str, Any], key: Any = KEY, algorithm: str = "EdDSA", **header: Any) -> str:
    return jwt.encode(content, key, algorithm=algorithm, headers={"kid": "one"} | header)


def test_what_is_signed_is_what_is_read() -> None:
    now = int(time.time())
    found = verify(sign(PERSON, KEY, "one", token_id=ID, now=now), KEYS)
    assert (found.user_id, found.name, found.roles, found.on_behalf_of) == (
        PERSON.user_id,
        "alice",
        PERSON.roles,
        PERSON.on_behalf_of,
    )
    assert (found.team_ids, found.territory_ids, found.issued_at) == (PERSON.team_ids, PERSON.territory_ids, now)


ANYTHING_ELSE: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no token": lambda: "a.b.c",
    "another key": lambda: encoded(claims(), Ed25519PrivateKey.generate()),
    "an unknown key id": lambda: encoded(claims(), kid="two"),
    "no key id": lambda: jwt.encode(claims(), KEY, algorithm="EdDSA"),
    "another algorithm": lambda: encoded(claims(), "a secret that is long enough for HMAC", "HS256"),
    "expired": lambda: encoded(claims(exp=int(time.time()) - 60)),
    "not issued yet": lambda: encoded(claims(iat=int(time.time()) + 60, exp=int(time.time()) + 120)),
    "somebody else's": lambda: encoded(claims(iss="somebody else")),
    "nobody": lambda: encoded(claims(sub=None)),
    "nobody we know the form of": lambda: encoded(claims(sub="not a uuid")),
    "no roles": lambda: encoded(claims(roles=None)),
    "roles that are none": lambda: encoded(claims(roles=5)),
    "teams that are none": lambda: encoded(claims(team_ids=["x"])),
    "for ever": lambda: encoded(claims(exp=None)),
    "no id": lambda: encoded(claims(jti=None)),
}


# Made when it is verified: one of an hour ago would be refused for its age, whatever else is wrong with it.
@pytest.mark.parametrize("token", ANYTHING_ELSE.values(), ids=ANYTHING_ELSE.keys())
def test_anything_else_is_refused(token: Callable[[], str]) -> None:
    assert verify(encoded(claims()), KEYS).name == "x"
    with pytest.raises(TokenRefused):
        verify(token(), KEYS)


def test_a_key_ring_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    ring = KeyRing(path)
    token = sign(PERSON, KEY, "one", token_id=ID)
    with pytest.raises(TokenRefused, match="does not publish"):
        ring.verify(token)

    def publish(*keys: tuple[str, Ed25519PrivateKey]) -> None:
        partial = tmp_path / "partial"
        partial.write_text(json.dumps({"keys": [public_jwk(kid, key.public_key()) for kid, key in keys]}))
        os.replace(partial, path)

    publish(("one", KEY))
    assert ring.verify(token).name == "alice"
    path.write_text('{"keys": [')  # somebody's editor was interrupted: what was known stays known
    assert ring.verify(token).name == "alice"
    publish(("two", Ed25519PrivateKey.generate()))
    with pytest.raises(TokenRefused):
        ring.verify(token)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": [{}]},
        {"keys": [{"kid": "a", "kty": "RSA"}]},
        {"keys": [{"kty": "OKP", "crv": "X"}]},
    ],
)
def test_a_document_that_is_no_jwks_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="JWKS"):
        read_jwks(document)


def test_a_private_key_is_never_read_as_published() -> None:
    secret = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY))
    with pytest.raises(ValueError, match="public"):
        read_jwks({"keys": [secret | {"kid": "a"}]})
