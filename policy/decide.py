"""The two questions: may these roles do that, and to which rows."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from policy.roles import ROLES, Scope


@lru_cache(maxsize=4096)
def may(roles: frozenset[str], permission: str) -> bool:
    """Whether one of the roles grants the permission. An unknown role grants nothing."""
    return any(_grants(role, permission) for role in roles)


@lru_cache(maxsize=4096)
def scopes(roles: frozenset[str], permission: str, object_type: str) -> frozenset[Scope]:
    """The rows of ``object_type`` that ``permission`` reaches: the union over the roles that grant it."""
    found: frozenset[Scope] = frozenset()
    for role in roles:
        if _grants(role, permission):
            found |= ROLES[role].scopes.get(object_type, ROLES[role].rows)
    return frozenset({Scope.ALL}) if Scope.ALL in found else found


def _grants(role: str, permission: str) -> bool:
    known = ROLES.get(role)
    return known is not None and any(fnmatchcase(permission, grant) for grant in known.grants)
