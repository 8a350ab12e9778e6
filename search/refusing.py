"""Finding the documents that an engine refuses among those that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from search.documents import Document
from search.errors import DocumentRefused


def refused(write: Callable[[Sequence[Document]], None], documents: Sequence[Document]) -> list[tuple[Document, str]]:
    """Writes the documents, by halves where the engine refuses some; answers those that it does not take, and why."""
    if not documents:
        return []
    try:
        write(documents)
    except DocumentRefused as error:
        if len(documents) == 1:
            return [(documents[0], str(error))]
        middle = len(documents) // 2
        return refused(write, documents[:middle]) + refused(write, documents[middle:])
    return []
