"""Identity's addresses beside its commands: logging in and out, and the keys that tokens are checked with."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel, ConfigDict, Field
from rest_framework.request import Request

from policy.decide import may
from policy.tokens import LIFETIME_SECONDS
from transactional.contracts.base import Command
from transactional.identity import tokens
from transactional.identity.models import UserAccount
from transactional.kernel.audit import note_access
from transactional.kernel.http.schema import problems
from transactional.kernel.http.views import ServiceView
from transactional.kernel.problems import Absent, Forbidden
from transactional.kernel.validation import parse


class LogIn(Command):
    """Username and password."""

    username: str = Field(max_length=150)
    password: str = Field(max_length=200)


class SessionSecret(Command):
    """The secret that the login gave."""

    session: str = Field(max_length=200)


class OnBehalf(Command):
    """Whose behalf a service acts on."""

    on_behalf_of: UUID


class Noted(Command):
    """What the caller did, or was refused, with a permission: no row of a service changed, so no change tells of it."""

    kind: Literal["read", "export", "replay", "refused"]
    action: str = Field(max_length=100, description="the permission that it needs")
    resource: str = Field(max_length=60)
    resource_id: str | None = Field(default=None, max_length=400)
    detail: str = Field(max_length=1000)


class TokenBody(BaseModel):
    """A bearer token, how many seconds it lasts, and at login the session's secret that buys the next one."""

    model_config = ConfigDict(frozen=True)

    token: str
    expires_in: int = LIFETIME_SECONDS
    session: str | None = None


class KeysBody(BaseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]


class EndedBody(BaseModel):
    ended: bool = True


class NotedBody(BaseModel):
    noted: bool = True


_REFUSALS = (400, 401, 405, 413, 415, 422, 503)


class IdentityView(ServiceView):
    service = "identity"

    def answer(self, body: BaseModel) -> HttpResponse:
        response = HttpResponse(body.model_dump_json(), content_type="application/json")
        response["Cache-Control"] = "no-store"
        return response


class Token(IdentityView):
    @extend_schema(
        operation_id="identity_token",
        tags=["identity"],
        auth=[],
        description="Log in: a token of ten minutes and a session that buys more.",
        request={"application/json": LogIn},
        responses={200: TokenBody, **problems((*_REFUSALS, 429))},
    )
    def post(self, request: Request) -> HttpResponse:
        given = parse(LogIn, self.payload(request))
        login = tokens.log_in(given.username, given.password)
        return self.answer(TokenBody(token=login.token, session=login.session))


class Renewal(IdentityView):
    @extend_schema(
        operation_id="identity_renew",
        tags=["identity"],
        auth=[],
        description="The next token of a session.",
        request={"application/json": SessionSecret},
        responses={200: TokenBody, **problems(_REFUSALS)},
    )
    def post(self, request: Request) -> HttpResponse:
        given = parse(SessionSecret, self.payload(request))
        return self.answer(TokenBody(token=tokens.renew(given.session)))


class Logout(IdentityView):
    @extend_schema(
        operation_id="identity_logout",
        tags=["identity"],
        auth=[],
        description="End a session.",
        request={"application/json": SessionSecret},
        responses={200: EndedBody, **problems(_REFUSALS)},
    )
    def post(self, request: Request) -> HttpResponse:
        given = parse(SessionSecret, self.payload(request))
        tokens.log_out(given.session)
        return self.answer(EndedBody())


class Behalf(IdentityView):
    @extend_schema(
        operation_id="identity_behalf",
        tags=["identity"],
        description="A service's token that names on whose behalf it acts. Needs the role `service`.",
        request={"application/json": OnBehalf},
        responses={200: TokenBody, **problems((*_REFUSALS, 403, 404))},
    )
    def post(self, request: Request) -> HttpResponse:
        ctx = self.context(request)
        given = parse(OnBehalf, self.payload(request))
        if "service" not in ctx.actor.roles:
            raise Forbidden(f"{ctx.actor.name} is not a service and acts for itself only.")
        asking = UserAccount.objects.filter(pk=ctx.actor.user_id, is_active=True).first()
        if asking is None or not UserAccount.objects.filter(pk=given.on_behalf_of, is_active=True).exists():
            raise Absent("active user", given.on_behalf_of)
        return self.answer(TokenBody(token=tokens.issue(asking, on_behalf_of=given.on_behalf_of)))


class Notes(IdentityView):
    @extend_schema(
        operation_id="identity_note",
        tags=["identity"],
        description="Note in the access log that the caller read, exported or replayed something, or was refused. For "
        "processes that do not host the service concerned; but for a refusal it needs the permission that is named.",
        request={"application/json": Noted},
        responses={200: NotedBody, **problems((*_REFUSALS, 403))},
    )
    def post(self, request: Request) -> HttpResponse:
        ctx = self.context(request)
        given = parse(Noted, self.payload(request))
        if given.kind != "refused" and not may(ctx.actor.roles, given.action):
            raise Forbidden(f"{ctx.actor.name} lacks {given.action}.")
        note_access(
            self.service,
            given.kind,
            ctx.actor,
            given.action,
            resource=given.resource,
            resource_id=given.resource_id,
            ctx=ctx,
            detail=given.detail,
        )
        return self.answer(NotedBody())


class Keys(IdentityView):
    @extend_schema(
        operation_id="identity_keys",
        tags=["identity"],
        auth=[],
        description="The public keys that tokens are checked with.",
        request=None,
        responses={200: KeysBody, **problems((405, 503))},
    )
    def get(self, request: Request) -> HttpResponse:
        document: dict[str, Any] = tokens.jwks()
        return HttpResponse(orjson.dumps(document), content_type="application/json")
