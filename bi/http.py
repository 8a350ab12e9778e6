"""What the read API's views share: an object by the path's id, its OpenAPI, the answer in JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import BaseModel
from rest_framework.request import Request

from bi.schema import ProblemDetails
from policy.bearer import ReadView
from policy.problems import absent, invalid

_PROBLEM = "application/problem+json"
_REFUSALS = {
    401: "No token, or not a good one",
    403: "The role lacks the permission",
    404: "No such object, or none that the caller may see",
    405: "Method not allowed",
    422: "A parameter is not valid; errors name it",
    503: "The warehouse gives no answer",
}


class ObjectView(ReadView):
    """Answers GET with one document about the object with the path's id."""

    object_type = ""

    def key(self, text: str) -> UUID:
        """The path's id. Raises Problem 404: what is no id names nothing."""
        try:
            return UUID(text)
        except ValueError:
            raise absent(self.object_type, ascii(text)) from None


def answer(document: str | dict[str, Any]) -> HttpResponse:
    body = document if isinstance(document, str) else orjson.dumps(document)
    return HttpResponse(body, content_type="application/json", headers={"Cache-Control": "private, no-store"})


def described(
    operation_id: str, description: str, result: type[BaseModel], *parameters: OpenApiParameter
) -> Callable[[Any], Any]:
    """The OpenAPI of one read by id."""
    return extend_schema(
        operation_id=operation_id,
        tags=["360"],
        description=description,
        request=None,
        responses={
            200: result,
            **{(s, _PROBLEM): OpenApiResponse(ProblemDetails, description=d) for s, d in _REFUSALS.items()},
        },
        parameters=[
            OpenApiParameter("key", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH, required=True),
            *parameters,
        ],
    )


def whole(request: Request, name: str, default: int) -> int:
    """A parameter that is a whole number. Raises Problem 422."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise invalid(name, "number", "is not a whole number")
    return int(text)
