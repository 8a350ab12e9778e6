"""One view class per address, made from the registry's entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import psycopg
from django.core.exceptions import RequestDataTooBig
from django.db.utils import Error as DatabaseError
from django.http import HttpResponse
from rest_framework import exceptions
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView
from uuid_utils.compat import uuid7

from transactional.kernel.context import Context
from transactional.kernel.dberrors import problem_of
from transactional.kernel.execution import run
from transactional.kernel.http.answers import refuse, respond
from transactional.kernel.http.authentication import authenticate, bearer
from transactional.kernel.problems import (
    Absent,
    Invalid,
    MethodNotAllowed,
    Problem,
    TooLarge,
    UnsupportedMedia,
)
from transactional.kernel.reading import read_one, read_page
from transactional.kernel.registry import (
    CommandSpec,
    RegistryError,
    ResourceSpec,
    command_named,
    resource_named,
)
from transactional.kernel.validation import read_json, with_target

MAX_REASON = 500
JSON_TYPES = ("application/json", "")
Method = Callable[..., HttpResponse]


class ServiceView(APIView):
    """Answers JSON, refuses with problem details, and knows which service it belongs to."""

    service = ""
    open_to_all = False
    """Whether the view answers without a token."""

    http_method_names = ["get", "post", "head"]
    authentication_classes = ()
    permission_classes = ()
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """JSON is all there is, whatever the client accepts."""
        return self.renderer_classes[0](), "application/json"

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, exceptions.MethodNotAllowed):
            exc = MethodNotAllowed(str(exc.detail), headers={"Allow": ", ".join(self.allowed_methods)})
        elif isinstance(exc, RequestDataTooBig):
            exc = TooLarge("The body is too large; split it.")
        elif isinstance(exc, (DatabaseError, psycopg.Error)):
            exc = problem_of(exc) or exc
        if not isinstance(exc, Problem):
            raise exc
        return refuse(exc, self.request._request)

    def context(self, request: Request) -> Context:
        """The caller's part of a context, from the request's headers. Raises Unauthenticated, Invalid."""
        principal = authenticate(request._request, self.service)
        headers = request.headers
        reason = headers.get("Headwater-Reason")
        if reason is not None and (len(reason) > MAX_REASON or not reason.isprintable()):
            raise Invalid("Headwater-Reason", "length", f"must be at most {MAX_REASON} printable characters")
        return Context(
            actor=principal,
            idempotency_key=headers.get("Idempotency-Key"),
            reason=reason,
            expected_version=_version(headers.get("If-Match")),
            token=bearer(request._request),
            request_id=_request_id(headers.get("Request-Id")),
        )

    def payload(self, request: Request) -> dict[str, Any]:
        """The JSON object in the body. Raises UnsupportedMedia, Malformed."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        body = request._request.body
        if kind not in JSON_TYPES and body:
            raise UnsupportedMedia(f"The body is {kind}; send application/json.")
        return read_json(body)


def command_method(spec: CommandSpec) -> Method:
    def post(self: ServiceView, request: Request, id: str | None = None) -> HttpResponse:
        ctx = self.context(request)
        payload: Mapping[str, Any] = self.payload(request)
        if spec.target is not None and id is not None:
            payload = with_target(payload, spec.target, str(_key(spec.resource, id)))
        return respond(run(spec, payload, ctx))

    return post


def page_method(spec: ResourceSpec) -> Method:
    def get(self: ServiceView, request: Request) -> HttpResponse:
        return respond(read_page(spec, request._request.GET.dict(), self.context(request)))

    return get


def one_method(spec: ResourceSpec) -> Method:
    def get(self: ServiceView, request: Request, id: str) -> HttpResponse:
        return respond(read_one(spec, _key(spec.name, id), self.context(request)))

    return get


class CommandByName(ServiceView):
    """Any command of the service by its dotted name: the way ``invoke`` comes in from another process."""

    def post(self, request: Request, name: str) -> HttpResponse:
        ctx = self.context(request)
        try:
            spec = command_named(name)
        except RegistryError:
            raise Absent("command", name) from None
        if spec.service != self.service:
            raise Absent("command", name)
        return respond(run(spec, self.payload(request), ctx))


class ResourceByName(ServiceView):
    """Any resource of the service by its dotted name: the way ``fetch`` and ``fetch_page`` come in."""

    def get(self, request: Request, name: str, id: str | None = None) -> HttpResponse:
        ctx = self.context(request)
        try:
            spec = resource_named(name)
        except RegistryError:
            raise Absent("resource", name) from None
        if spec.service != self.service:
            raise Absent("resource", name)
        if id is None:
            return respond(read_page(spec, request._request.GET.dict(), ctx))
        return respond(read_one(spec, _key(name, id), ctx))


def _key(object_type: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Absent(object_type, ascii(text)) from None


def _request_id(text: str | None) -> UUID:
    if text is None:
        return uuid7()
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("Request-Id", "uuid", "must be a UUID") from None


def _version(text: str | None) -> int | None:
    """The version in ``If-Match: "5"``; ``*`` accepts any."""
    if text is None or text.strip() == "*":
        return None
    digits = text.strip().removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise Invalid("If-Match", "version", 'must be a version as the ETag showed it, such as "5"')
    return int(digits)
