"""People who ask the read API, with tokens of a key that the test publishes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.http import HttpResponse
from django.test import Client

from policy.principal import Principal
from policy.tokens import sign


@dataclass(frozen=True)
class Person:
    principal: Principal
    key: Ed25519PrivateKey

    def token(self, *, issued: float | None = None) -> str:
        return sign(self.principal, self.key, "k1", token_id=uuid4(), now=issued)

    def get(self, account: object, *, token: str | None = None) -> HttpResponse:
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return Client().get(f"/api/360/accounts/{account}", headers=headers)


def person(key: Ed25519PrivateKey, number: int, *roles: str, territory: UUID | None = None) -> Person:
    territories = (territory,) if territory else ()
    principal = Principal(
        UUID(int=8 << 64 | number), "someone", frozenset(roles), (), territories, None, int(time.time())
    )
    return Person(principal, key)
