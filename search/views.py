"""``GET /api/search``: who asks, for what, and the answer or the refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from policy.bearer import ReadView, reader
from policy.principal import Principal
from policy.problems import invalid, unauthenticated, unavailable
from search.answer import Answer
from search.entities import BY_NAME, ENTITIES
from search.errors import EngineUnavailable, IndexMissing, QueryRefused, StaleToken
from search.query import LONGEST
from search.read import DEFAULT_LIMIT, HIGHEST_LIMIT, find
from search.schema import AnswerSchema, SearchProblem
from warehouse.asking import WarehouseUnavailable

_PROBLEM = "application/problem+json"
_REFUSALS = {
    401: "No token, or not a good one",
    405: "Method not allowed",
    422: "A parameter is not valid; errors name it",
    503: "The engine or the warehouse gives no answer, or the index is being built",
}
_FILTERS = sorted({name for entity in ENTITIES for name in entity.filters})


def _query(name: str, schema: dict[str, Any], description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=description, explode=True)


class SearchView(ReadView):
    """Everything that is named like the query."""

    @extend_schema(
        operation_id="search",
        tags=["search"],
        description="Accounts, contacts, products and orders in which every word of `q` is found, the last one perhaps"
        " only begun, with typing mistakes forgiven in longer words and none in numbers. `watermark` says up to where"
        " each source can be found. Whatever the caller's roles and rows do not open is neither found nor counted.",
        request=None,
        responses={
            200: AnswerSchema,
            **{(s, _PROBLEM): OpenApiResponse(SearchProblem, description=d) for s, d in _REFUSALS.items()},
        },
        parameters=[
            _query("q", {"type": "string", "maxLength": LONGEST}, "What to find; nothing for an empty one"),
            _query("entity", {"type": "array", "items": {"enum": list(BY_NAME)}}, "Only these (all)"),
            _query(
                "filter",
                {"type": "array", "items": {"type": "string"}},
                f"`name:value`, by {', '.join(_FILTERS)}; one of several values of a name, and every name",
            ),
            _query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": HIGHEST_LIMIT, "default": DEFAULT_LIMIT},
                "Hits of each group",
            ),
            _query("after", {"type": "string"}, "Continues a group, whose `entity` is named"),
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        principal = reader(request._request)
        answer = _find(request._request, principal)
        return HttpResponse(
            orjson.dumps(answer.as_dict()),
            content_type="application/json",
            headers={"Cache-Control": "private, no-store"},
        )


def _find(request: HttpRequest, principal: Principal) -> Answer:
    try:
        return find(
            principal,
            request.GET.get("q", ""),
            entities=request.GET.getlist("entity") or None,
            filters=_filters(request.GET.getlist("filter")),
            limit=_limit(request.GET.get("limit")),
            after=request.GET.get("after"),
        )
    except QueryRefused as refused:
        raise invalid(refused.field, "invalid", str(refused)) from None
    except StaleToken as stale:
        raise unauthenticated(str(stale)) from None
    except WarehouseUnavailable as error:
        raise unavailable("The warehouse gives no answer; try again in a moment.") from error
    except IndexMissing as error:
        raise unavailable("The search index is being built; try again in a moment.") from error
    except EngineUnavailable as error:
        raise unavailable("The search engine gives no answer; try again in a moment.") from error


def _filters(given: Sequence[str]) -> Mapping[str, list[str]]:
    filters: dict[str, list[str]] = {}
    for each in given:
        name, colon, value = each.partition(":")
        if not colon:
            raise QueryRefused("filter", "must be name:value")
        filters.setdefault(name, []).append(value)
    return filters


def _limit(given: str | None) -> int:
    if given is None:
        return DEFAULT_LIMIT
    if not (given.isascii() and given.isdigit() and len(given) < 5):
        raise QueryRefused("limit", f"must be 1 to {HIGHEST_LIMIT}")
    return int(given)
