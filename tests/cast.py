"""The cast of tests: Alice may, Bob is of her team without her role, Charlie has the role but no access to her rows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.test import Client
from uuid_utils.compat import uuid7

from policy.principal import Principal
from transactional.identity.tokens import signed
from transactional.kernel.context import Context

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody with a token, who uses the API or calls commands in process."""

    principal: Principal

    @property
    def id(self) -> UUID:
        assert self.principal.user_id is not None
        return self.principal.user_id

    @property
    def team_id(self) -> UUID:
        return self.principal.team_ids[0]

    @property
    def territory_id(self) -> UUID:
        return self.principal.territory_ids[0]

    @property
    def token(self) -> str:
        return signed(self.principal)

    def ctx(self, **said: Any) -> Context:
        """A context for ``execute``: ``idempotency_key``, ``expected_version``, ``reason``…"""
        return Context(actor=self.principal, **said)

    def get(self, path: str, parameters: Mapping[str, Any] | None = None, **headers: str) -> HttpResponse:
        return Client().get(path, parameters, headers={"Authorization": f"Bearer {self.token}", **headers})

    def post(
        self,
        path: str,
        payload: Any = None,
        *,
        key: str | None = None,
        if_match: int | str | None = None,
        reason: str | None = None,
        **headers: str,
    ) -> HttpResponse:
        """``payload``: bytes are sent as they are, anything else as JSON."""
        body = payload if isinstance(payload, bytes) else json.dumps({} if payload is None else payload, default=str)
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | headers
        if key is not None:
            sent["Idempotency-Key"] = key
        if if_match is not None:
            sent["If-Match"] = f'"{if_match}"'
        if reason is not None:
            sent["Headwater-Reason"] = reason
        return Client().post(path, body, content_type=sent.pop("Content-Type"), headers=sent)


@dataclass(frozen=True)
class Cast:
    alice: Person
    bob: Person
    charlie: Person
    admin: Person


def the_cast(role: str, *, bobs_role: str | None = None) -> Cast:
    """New people each call, so that tests do not meet each other's rows.

    Alice and Bob share a team and a territory; Bob has no role unless ``bobs_role`` gives him one. Charlie has Alice's
    role in another team and territory. Admin is an administrator.
    """
    number = next(_numbers)
    team, territory, other_team, other_territory = (uuid7() for _ in range(4))

    def person(name: str, roles: set[str], teams: tuple[UUID, ...], territories: tuple[UUID, ...]) -> Person:
        return Person(Principal(uuid7(), f"{name}{number}", frozenset(roles), teams, territories))

    return Cast(
        alice=person("alice", {role}, (team,), (territory,)),
        bob=person("bob", {bobs_role} if bobs_role else set(), (team,), (territory,)),
        charlie=person("charlie", {role}, (other_team,), (other_territory,)),
        admin=person("admin", {"admin"}, (), ()),
    )
