"""What a search answers: typed values that pages and the API show alike.

Text is never markup: a fragment is plain text with the ranges to be marked, so that nothing in a document can become
HTML on its way to a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID


class Mark(NamedTuple):
    """A range of characters, ``end`` excluded."""

    start: int
    end: int


class Piece(NamedTuple):
    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some text of a document; ``marks`` are in order and do not overlap. ``field`` names where it comes from."""

    field: str
    text: str
    marks: tuple[Mark, ...] = ()

    def pieces(self) -> Iterator[Piece]:
        """The whole text in order, cut where marking begins and ends."""
        at = 0
        for start, end in self.marks:
            if start > at:
                yield Piece(self.text[at:start], False)
            yield Piece(self.text[start:end], True)
            at = end
        if at < len(self.text):
            yield Piece(self.text[at:], False)


@dataclass(frozen=True, slots=True)
class Hit:
    """One document: ``entity`` and ``id`` say what it is of (``search.entities``), the rest is to be shown.

    ``title`` and ``subtitle`` are always there (a subtitle may be empty); ``fragments`` are other fields in which the
    query was found. ``facts`` are the values that filters know it by, such as ``status``; ``number`` is what people
    quote (AC-000001, a SKU, SO-000123) or "".
    """

    entity: str
    id: UUID
    number: str
    title: Fragment
    subtitle: Fragment
    fragments: tuple[Fragment, ...]
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """The hits of one entity, best first. ``total`` counts every match that the reader may see.

    ``estimated`` says that the engine did not count to the end. ``after`` continues this group (``find(after=…)``);
    None at its end.
    """

    entity: str
    total: int
    estimated: bool
    hits: tuple[Hit, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """Whatever ``source`` committed up to ``committed_at`` and ``lsn`` can be found; None before its first batch."""

    source: str
    lsn: str | None
    committed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Groups in the order of ``search.entities.ENTITIES``, those without a match left out.

    ``completions`` are texts that go on from the query; ``suggestions`` are queries that it was probably meant to be.
    Both come from documents that the reader may see. ``ignored`` are words beyond the number that is searched for;
    ``missing`` are entities that cannot be searched at the moment, because their index is being built.
    """

    query: str
    groups: tuple[Group, ...]
    completions: tuple[str, ...]
    suggestions: tuple[str, ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    watermark: tuple[Watermark, ...]

    @property
    def total(self) -> int:
        return sum(group.total for group in self.groups)

    def group(self, entity: str) -> Group | None:
        return next((group for group in self.groups if group.entity == entity), None)

    def as_dict(self) -> dict[str, Any]:
        """As JSON: identifiers and times as text, marks as ``[start, end]``."""
        return {
            "query": self.query,
            "total": self.total,
            "groups": [_group(group) for group in self.groups],
            "completions": list(self.completions),
            "suggestions": list(self.suggestions),
            "ignored": list(self.ignored),
            "missing": list(self.missing),
            "watermark": {
                mark.source: {
                    "lsn": mark.lsn,
                    "committed_at": mark.committed_at.isoformat() if mark.committed_at else None,
                }
                for mark in self.watermark
            },
        }


def _group(group: Group) -> dict[str, Any]:
    return {
        "entity": group.entity,
        "total": group.total,
        "estimated": group.estimated,
        "hits": [_hit(hit) for hit in group.hits],
        "after": group.after,
    }


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "entity": hit.entity,
        "id": str(hit.id),
        "number": hit.number,
        "title": _fragment(hit.title),
        "subtitle": _fragment(hit.subtitle),
        "fragments": [_fragment(fragment) for fragment in hit.fragments],
        "facts": hit.facts,
    }


def _fragment(fragment: Fragment) -> dict[str, Any]:
    return {"field": fragment.field, "text": fragment.text, "marks": [list(mark) for mark in fragment.marks]}
