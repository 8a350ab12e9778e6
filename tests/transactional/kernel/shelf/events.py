"""Events of the sample service."""

from __future__ import annotations

from uuid import UUID

from transactional.contracts.base import Event


class BookPublished(Event):
    type = "BOOK_PUBLISHED"
    aggregate = "book"

    id: UUID
    title: str
