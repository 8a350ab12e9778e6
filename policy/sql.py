"""The same policy for the warehouse's row-level security: who reads which rows, as a dbt macro; a reader's claims.

The macro is generated from ``policy.roles`` and committed at ``warehouse/dbt/macros/read_scopes.sql`` (the warehouse
imports nothing of ours); a test compares the two. ``python -m policy.sql`` prints it.
"""

from __future__ import annotations

import json

from policy.decide import scopes
from policy.principal import Principal
from policy.roles import ROLES, Scope

READ_IN_WAREHOUSE = (
    "contacts.account",
    "contacts.contact",
    "finance.account_profile",
    "identity.team",
    "identity.territory",
    "identity.user_account",
    "inventory.product",
    "orders.sales_order",
)
"""Resources that marts and mirrors are secured by."""

_HEAD = """\
{#- Generated from policy/. Which roles read which rows of a resource: \
all, or those of their territories, teams, own. -#}
{% macro read_scopes() -%}
    {{ return({
"""
_FOOT = """\
    }) }}
{%- endmacro %}
"""


def row_security_macro() -> str:
    """The dbt macro ``read_scopes()``: resource → scope → roles that read the resource with that scope."""
    lines = []
    for resource in READ_IN_WAREHOUSE:
        lines.append(f"        '{resource}': {{")
        lines += [f"            '{scope}': [{_quoted(readers(resource, scope))}]," for scope in Scope]
        lines.append("        },")
    return _HEAD + "\n".join(lines) + "\n" + _FOOT


def readers(resource: str, scope: Scope) -> list[str]:
    """Roles that read the resource's rows by this scope, sorted."""
    return sorted(role for role in ROLES if scope in scopes(frozenset({role}), f"{resource}.read", resource))


def claims(principal: Principal) -> str:
    """What the read API states in ``headwater.claims`` for the person it serves: JSON, as a token would say it."""
    return json.dumps(
        {
            "sub": str(principal.user_id),
            "roles": sorted(principal.roles),
            "team_ids": [str(team) for team in principal.team_ids],
            "territory_ids": [str(territory) for territory in principal.territory_ids],
        }
    )


def _quoted(roles: list[str]) -> str:
    return ", ".join(f"'{role}'" for role in roles)


if __name__ == "__main__":
    print(row_security_macro(), end="")
