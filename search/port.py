"""What search asks of an engine. Every adapter passes the same contract suite (``tests/search/contract.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from search.documents import Document

FIELDS = ("codes", "name", "detail", "parent", "items")
"""Searched fields, most important first. ``parent`` is text that belongs to another row, with a policy of its own."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search in one entity's index. Every condition must hold.

    ``words`` are folded; each must be found in one of ``fields``, the last one perhaps as a beginning. ``keys`` and
    ``parent_keys`` are policy keys of the reader (None: every row). ``parent`` says which documents are meant: those
    whose parent the reader may see (``within``), the others (``outside``), or all. ``facets`` are groups of facet
    terms, of each of which the document has one.
    """

    entity: str
    words: tuple[str, ...]
    fields: tuple[str, ...]
    keys: frozenset[str] | None
    parent: Literal["all", "within", "outside"]
    parent_keys: frozenset[str]
    facets: tuple[tuple[str, ...], ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Match:
    """A document as it was stored: ``body`` is ``Document.body``; hits of one entity compare by (score, rank)."""

    id: UUID
    score: float
    rank: float
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """The best matches of one search, and how many there are; ``estimated`` if the engine did not count to the end.

    ``missing`` says that the entity has no index that could be searched.
    """

    total: int
    estimated: bool
    matches: tuple[Match, ...]
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """An index as it stands. ``fingerprint`` and ``version`` are what was last told to ``begin`` and ``write``.

    ``problem`` says why it cannot be used (None: it can); an index that is not there has one.
    """

    fingerprint: str | None
    version: int
    documents: int
    problem: str | None = None


class Engine(Protocol):
    """Errors of every method: EngineUnavailable (try again later), IndexMissing (build it), IndexLocked.

    Whatever a method wrote is durable and can be found by every process once it returns. Writes are idempotent.
    """

    name: str

    def settings(self, entity: str) -> object:
        """Whatever an index is made with, as JSON could say it; an index made with anything else is built anew."""

    def search(self, searches: Sequence[Search]) -> list[Found]:
        """One result for each search, in their order."""

    def examine(self, entity: str, *, thoroughly: bool = False) -> Standing:
        """The index that is searched; ``thoroughly`` for whoever is to write it, who may read every byte for it."""

    def write(self, entity: str, put: Sequence[Document], remove: Sequence[UUID], version: int) -> None:
        """Into the index that is searched and into the one being built, as far as they stand.

        Raises DocumentRefused if the engine refuses one of the documents; then none of them is surely written.
        """

    def begin(self, entity: str, fingerprint: str) -> None:
        """Makes an empty index beside the one that is searched; one that was begun before is thrown away."""

    def fill(self, entity: str, put: Sequence[Document]) -> None:
        """Into the index being built alone. Documents become durable at the latest when ``finish`` returns."""

    def finish(self, entity: str, version: int) -> None:
        """Puts the index that was built in the place of the one that is searched, in one step, and removes the old."""

    def stored(self, entity: str, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """The hashes of those documents that are there."""

    def scan(self, entity: str) -> Iterator[Mapping[UUID, int]]:
        """The hash of every document, some thousand at a time."""

    def close(self) -> None:
        """Lets go of connections, files and locks."""
