"""What callers see of books."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from uuid import UUID

from tests.transactional.kernel.shelf.models import AccountReplica, Book
from transactional.contracts.types import Custom
from transactional.kernel.registry import Resource, resource


class MoveView(Resource):
    place: str


@resource(Book, path="books", filters=("status", "isbn", "pages"), prefetch=("moves",), personal=True)
class BookResource(Resource):
    """A book on a shelf."""

    id: UUID
    title: str
    isbn: str
    price: Decimal | None
    pages: int | None
    status: Literal["draft", "published", "withdrawn"]
    sequel_of_id: UUID | None
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    moves: list[MoveView]
    custom: Custom
    version: int


@resource(AccountReplica, path="accounts")
class AccountReplicaResource(Resource):
    """Another service's account, as this one knows it."""

    account_uuid: UUID
    name: str
    discount: Decimal
    replica_version: int
    version: int
