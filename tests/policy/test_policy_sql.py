"""The warehouse's row security says what the API says."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from policy.decide import may
from policy.principal import Principal
from policy.roles import ROLES, Scope
from policy.sql import READ_IN_WAREHOUSE, claims, readers, row_security_macro

MACRO = Path(__file__).resolve().parents[2] / "warehouse" / "dbt" / "macros" / "read_scopes.sql"


def test_the_committed_macro_is_the_generated_one() -> None:
    """``python -m policy.sql > warehouse/dbt/macros/read_scopes.sql`` after a change of roles."""
    assert MACRO.read_text() == row_security_macro()


def test_a_role_that_the_api_refuses_reads_nothing_in_the_warehouse() -> None:
    for resource in READ_IN_WAREHOUSE:
        reading = {role for scope in Scope for role in readers(resource, scope)}
        assert reading == {role for role in ROLES if may(frozenset({role}), f"{resource}.read")}


def test_claims_say_what_a_token_says() -> None:
    person = Principal(UUID(int=1), "alice", frozenset({"b", "a"}), (UUID(int=2),), (UUID(int=3),))
    assert json.loads(claims(person)) == {
        "sub": str(UUID(int=1)),
        "roles": ["a", "b"],
        "team_ids": [str(UUID(int=2))],
        "territory_ids": [str(UUID(int=3))],
    }
