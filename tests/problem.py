"""Problem details as tests check them."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse


def problem(answer: HttpResponse, status: int) -> dict[str, Any]:
    """The problem document of an answer, after checking that it is one."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()  # type: ignore[attr-defined]
    assert body["status"] == status
    assert body["type"].startswith("urn:headwater:problem:")
    assert {"title", "detail", "instance", "errors"} <= body.keys()
    return body


def fields(body: dict[str, Any]) -> set[str]:
    """The fields that the problem names."""
    return {error["field"] for error in body["errors"]}
