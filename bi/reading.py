"""One read of the warehouse for one person: permission first, then the rows that they may see, then the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bi.warehouse import WarehouseUnavailable, ask
from policy.decide import may
from policy.principal import Principal
from policy.problems import absent, forbidden, unauthenticated, unavailable


def read(
    dsn: str, principal: Principal, statement: bytes, parameters: Sequence[Any], *, permission: str, key: object
) -> Any:
    """What ``statement`` found about the object ``key`` that ``permission`` opens.

    Raises Problem as ``found`` does, and 403 without the permission, 404 where nothing was found: the object is absent
    or out of the reader's rows.
    """
    if not may(principal.roles, permission):
        raise forbidden(permission)
    document = found(dsn, principal, statement, parameters)
    if document is None:
        raise absent(permission.removesuffix(".read"), str(key))
    return document


def found(dsn: str, principal: Principal, statement: bytes, parameters: Sequence[Any]) -> Any:
    """The document of ``statement``, whose ``$1`` is the reader's id; it answers one row: ``ops.tokens_valid_from($1)``
    and the document.

    Raises Problem: 401 for a token from before its person's rights changed, 503 while the warehouse gives no answer.
    """
    try:
        row = ask(dsn, principal, statement, [principal.user_id, *parameters])
    except WarehouseUnavailable as error:
        raise unavailable("The warehouse gives no answer; try again in a moment.") from error
    tokens_valid_from, document = row or (None, None)
    if principal.issued_at < (tokens_valid_from or 0):
        raise unauthenticated("The rights of this user changed after the token was issued; ask for a new one.")
    return document
