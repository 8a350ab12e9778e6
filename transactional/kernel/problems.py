"""Everything that can go wrong for a caller, as RFC 9457 problem details with the field that is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True, slots=True)
class FieldError:
    """``field`` is a dotted path into the request (``rows.3.data.name``), or a header's name, or empty."""

    field: str
    code: str
    message: str


class Problem(Exception):
    """An answer of 4xx or 503. ``code`` ends the problem's ``type``; ``extra`` adds members to the body."""

    status: int = 500
    code: str = "internal"
    title: str = "Something went wrong"

    def __init__(
        self,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self, instance: str | None = None) -> dict[str, Any]:
        """The members of the ``application/problem+json`` document."""
        return {
            "type": f"urn:headwater:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "errors": [asdict(error) for error in self.errors],
            **self.extra,
        }


class Malformed(Problem):
    """The request could not be read at all."""

    status, code, title = 400, "malformed", "The request is malformed"


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "Who are you?"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="headwater"'})


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Not allowed"


class Absent(Problem):
    """The object does not exist, or lies outside of the caller's rows: the two look the same."""

    status, code, title = 404, "absent", "No such object"

    def __init__(self, object_type: str, key: object) -> None:
        super().__init__(f"There is no {object_type} {key}.")
        self.object_type = object_type
        self.key = key


class NoRoute(Problem):
    status, code, title = 404, "no_route", "No such address"


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class Conflict(Problem):
    """The request is right in itself but does not fit the present state."""

    status, code, title = 409, "conflict", "Conflict with the present state"


class StaleVersion(Conflict):
    code, title = "stale_version", "Somebody else changed it first"


class NotAllowedNow(Conflict):
    code, title = "not_allowed_now", "Not possible in this state"


class TooLarge(Problem):
    status, code, title = 413, "too_large", "The request is too large"


class UnsupportedMedia(Problem):
    status, code, title = 415, "unsupported_media", "Send application/json"


class Rejected(Problem):
    """The content was understood and is not valid."""

    status, code, title = 422, "invalid", "The content is not valid"


class Invalid(Rejected):
    """One field is not valid: ``Invalid("parent_id", "cycle", "…")``."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message, errors=(FieldError(field, code, message),))


class KeyReused(Rejected):
    code, title = "idempotency_key_reused", "The idempotency key belongs to another request"


class TooManyAttempts(Problem):
    status, code, title = 429, "too_many_attempts", "Too many attempts"


class Unavailable(Problem):
    """A database or another service gives no answer; trying again after ``retry_after`` seconds may help.

    ``service`` names the service that does not answer, where it is another than the one that was asked.
    """

    status, code, title = 503, "unavailable", "Not available at the moment"

    def __init__(self, detail: str, *, service: str | None = None, retry_after: int = 1) -> None:
        super().__init__(
            detail, extra={"service": service} if service else None, headers={"Retry-After": str(retry_after)}
        )


class RemoteProblem(Problem):
    """A problem that another service answered, passed on as it came."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(
            str(document.get("detail", "")),
            errors=[
                FieldError(str(e.get("field", "")), str(e.get("code", "")), str(e.get("message", "")))
                for e in document.get("errors", ())
            ],
        )
        self.status = status
        self.code = str(document.get("type", "")).rpartition(":")[2] or "remote"
        self.title = str(document.get("title", ""))
        known = {"type", "title", "status", "detail", "instance", "errors"}
        self.extra = {name: value for name, value in document.items() if name not in known}


def from_validation(error: ValidationError, prefix: str = "") -> list[FieldError]:
    """Pydantic's findings as field errors; the refused input itself is not repeated."""
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(str(part) for part in item["loc"])
        field = f"{prefix}.{path}" if prefix and path else prefix or path
        found.append(FieldError(field, item["type"], item["msg"]))
    return found


class FieldErrorBody(BaseModel):
    field: str
    code: str
    message: str


class ProblemBody(BaseModel):
    """Problem details (RFC 9457): why the request was refused, and which fields are to blame."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None
    errors: list[FieldErrorBody]
