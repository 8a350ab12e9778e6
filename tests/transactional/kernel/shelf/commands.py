"""Commands on books, one of each kind."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from tests.transactional.kernel.shelf.events import BookPublished
from tests.transactional.kernel.shelf.models import AccountReplica, Book, Move
from transactional.contracts.base import UNSET, Command
from transactional.contracts.types import Amount, Custom, Text, Whole
from transactional.kernel.bulk import Row, copy_rows
from transactional.kernel.calls import invoke
from transactional.kernel.context import Context
from transactional.kernel.registry import bulk, command


class CreateBook(Command):
    """Put a book on the shelf."""

    title: Text
    isbn: Annotated[str, Field(max_length=20, pattern=r"^[0-9-]+$")]
    price: Amount | None = None
    pages: Whole | None = None
    weight: int | None = None
    genre: Literal["novel", "manual"] = "novel"
    sequel_of_id: UUID | None = None
    custom: Custom = {}
    owner_id: UUID | None = None
    team_id: UUID | None = None
    territory_id: UUID | None = None


def _book(ctx: Context, cmd: CreateBook) -> Book:
    values = cmd.model_dump(include={"title", "isbn", "price", "pages", "weight", "sequel_of_id", "custom"})
    return Book(**values, **ctx.scope_values(cmd))


@command(CreateBook, resource="shelf.book")
def create_book(ctx: Context, cmd: CreateBook) -> Book:
    book = _book(ctx, cmd)
    book.save()
    return book


@bulk(CreateBook, resource="shelf.book")
def create_books(ctx: Context, rows: list[Row[CreateBook]]) -> None:
    made = []
    for row in rows:
        if row.cmd.title == "Mein Traum":
            row.reject("title", "taste", "Not on this shelf.")
            continue
        book = _book(ctx, row.cmd)
        made.append(book)
        row.accept(book)
    copy_rows(made)
    for book in made:
        ctx.emit(BookPublished.of(book))


class UpdateBook(Command):
    """Change a book. Fields that are left out stay."""

    id: UUID
    title: Text = UNSET
    price: Amount | None = UNSET


@command(UpdateBook, resource="shelf.book", target="id")
def update_book(ctx: Context, cmd: UpdateBook) -> Book:
    book = Book.objects.for_update(ctx, cmd.id)
    book.change(**cmd.given())
    return book


class PublishBook(Command):
    """Publish a draft."""

    id: UUID


@command(PublishBook, resource="shelf.book", target="id")
def publish_book(ctx: Context, cmd: PublishBook) -> Book:
    book = Book.objects.for_update(ctx, cmd.id)
    book.lifecycle.apply("publish")
    ctx.emit(BookPublished.of(book))
    return book


class MoveBook(Command):
    """Carry a book to a place."""

    id: UUID
    place: Text


@command(MoveBook, resource="shelf.book", target="id", available=lambda book: book.status != "withdrawn")
def move_book(ctx: Context, cmd: MoveBook) -> Book:
    book = Book.objects.for_update(ctx, cmd.id)
    Move(book=book, place=cmd.place).save()
    book.save()
    return book


class CallOut(Command):
    """Does what a command must not: calls another service."""

    id: UUID


@command(CallOut, resource="shelf.book", target="id")
def call_out(ctx: Context, cmd: CallOut) -> Book:
    invoke("identity.create_team", {"name": "x"}, ctx)
    return Book.objects.for_update(ctx, cmd.id)


class SetDiscount(Command):
    """Change an own column of the replica."""

    account_uuid: UUID
    discount: Annotated[str, Field(pattern=r"^0\.\d{1,6}$")]


@command(SetDiscount, resource="shelf.account_replica", target="account_uuid")
def set_discount(ctx: Context, cmd: SetDiscount) -> AccountReplica:
    account = AccountReplica.objects.for_update(ctx, cmd.account_uuid)
    account.change(discount=cmd.discount)
    return account
