"""The read API's OpenAPI against the running application and a real warehouse: no answer that it does not declare."""

from __future__ import annotations

import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import tests.bootstrap  # noqa: F401
from tests.readers import Person

SCHEMA = schemathesis.openapi.from_wsgi("/api/openapi.json", get_wsgi_application()).include(path_regex="^/api/360/")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@SCHEMA.parametrize()
@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_is_answered_as_declared(alice: Person, case: schemathesis.Case) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {alice.token()}"}, checks=CHECKS)
