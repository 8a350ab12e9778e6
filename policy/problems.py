"""Refusals of the read APIs as RFC 9457 problem details, in the same words as the write services use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.http import HttpResponse


class Problem(Exception):
    """``code`` ends the problem's ``type``; ``errors`` name the parameters at fault: ``{field, code, message}``."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = [dict(error) for error in errors]

    def response(self, instance: str) -> HttpResponse:
        body = {
            "type": f"urn:headwater:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "errors": self.errors,
        }
        return HttpResponse(
            orjson.dumps(body), status=self.status, content_type="application/problem+json", headers=self.headers
        )


def unauthenticated(detail: str) -> Problem:
    return Problem(401, "unauthenticated", "Who are you?", detail, {"WWW-Authenticate": 'Bearer realm="headwater"'})


def forbidden(permission: str) -> Problem:
    return Problem(403, "forbidden", "Not allowed", f"Your roles do not grant {permission}.")


def invalid(field: str, code: str, message: str) -> Problem:
    """A parameter that cannot be used; ``message`` goes on from its name: ``must be 1 to 100``."""
    errors = [{"field": field, "code": code, "message": message}]
    return Problem(422, "invalid", "The content is not valid", f"{field} {message}.", errors=errors)


def absent(object_type: str, key: str) -> Problem:
    """The object does not exist or lies outside of the reader's rows: the two look the same."""
    return Problem(404, "absent", "No such object", f"There is no {object_type} {key}.")


def method_not_allowed(method: str) -> Problem:
    detail = f'Method "{method}" not allowed.'
    return Problem(405, "method_not_allowed", "Method not allowed", detail, {"Allow": "GET, HEAD"})


def unavailable(detail: str) -> Problem:
    return Problem(503, "unavailable", "Not available at the moment", detail, {"Retry-After": "1"})
