"""Answers and problems as HTTP responses."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from transactional.kernel.execution import Answer
from transactional.kernel.problems import Malformed, NoRoute, Problem

log = logging.getLogger(__name__)
PROBLEM_TYPE = "application/problem+json"


def respond(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    if answer.version is not None:
        response["ETag"] = f'"{answer.version}"'
    if answer.position is not None:
        response["Headwater-Position"] = answer.position
    if answer.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def refuse(problem: Problem, request: HttpRequest) -> HttpResponse:
    body = orjson.dumps(problem.body(request.path), default=str)
    return HttpResponse(body, status=problem.status, content_type=PROBLEM_TYPE, headers=problem.headers)


class _Fault(Problem):
    """A bug or an outage of ours; what happened stands in the process's log, not in the answer."""


def no_route(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's ``handler404``."""
    return refuse(NoRoute(f"Nothing is at {request.path}."), request)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's ``handler400``."""
    return refuse(Malformed("The request could not be read."), request)


def fault(request: HttpRequest, *_: Any) -> HttpResponse:
    """Django's ``handler500``."""
    return refuse(_Fault("The server met an error of its own; it is logged under this address and time."), request)
