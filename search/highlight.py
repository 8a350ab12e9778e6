"""Which characters of a shown text answer the query; what the query could go on to, and what it was meant to be.

Computed from the hits alone, alike for every engine: what a reader may not find cannot be marked, completed or
suggested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from search.answer import Fragment, Mark
from search.query import Query
from search.words import Word, distance, typos, words

CONTEXT: Final = 60
"""Characters shown before the first mark of a long text."""

LONGEST: Final = 200
"""Characters of a fragment."""


def mark(field: str, text: str, query: Query) -> Fragment:
    """The text with everything marked that the query's words find in it."""
    marks = dict.fromkeys(Mark(word.start, word.end) for word in words(text) if _finds(query, word))
    return Fragment(field, text, tuple(marks))


def excerpt(fragment: Fragment) -> Fragment:
    """A long fragment cut to what lies around its first mark, between words, with dots where something is left out."""
    if len(fragment.text) <= LONGEST:
        return fragment
    first = fragment.marks[0].start if fragment.marks else 0
    start = max(0, first - CONTEXT)
    if start:
        start = fragment.text.find(" ", start, first) + 1 or start
    end = min(len(fragment.text), start + LONGEST)
    if end < len(fragment.text):
        end = max(fragment.text.rfind(" ", start + LONGEST // 2, end), start + LONGEST // 2)
    ahead = "… " if start else ""
    text = ahead + fragment.text[start:end] + (" …" if end < len(fragment.text) else "")
    shift = len(ahead) - start
    kept = (Mark(m.start + shift, m.end + shift) for m in fragment.marks if m.start >= start and m.end <= end)
    return Fragment(fragment.field, text, tuple(kept))


def completions(texts: Iterable[str], query: Query, limit: int = 5) -> tuple[str, ...]:
    """Texts in which all of the query's words stand, the last perhaps only begun; those that begin with it first."""
    found: dict[str, tuple[bool, int]] = {}
    for place, text in enumerate(texts):
        present = [word.text for word in words(text)]
        begun = any(word.startswith(query.last) for word in present)
        if begun and all(word in present for word in query.words[:-1]) and present != list(query.words):
            ahead = len(query.words) - 1
            starts = present[:ahead] == list(query.words[:-1]) and "".join(present[ahead:]).startswith(query.last)
            found.setdefault(text, (not starts, place))
    return tuple(sorted(found, key=found.__getitem__)[:limit])


def suggestions(texts: Iterable[str], query: Query, limit: int = 3) -> tuple[str, ...]:
    """The query with each word that stands nowhere as typed replaced by the nearest, most frequent one found."""
    present = Counter(word.text for text in texts for word in words(text))
    meant: list[Sequence[str]] = []
    for place, word in enumerate(query.words):
        is_last = place == len(query.words) - 1
        if word in present or (is_last and any(other.startswith(word) for other in present)):
            meant.append([word])
            continue
        allowed = typos(word)
        near = [(distance(word, other, allowed), -count, other) for other, count in present.items()]
        meant.append([other for far, _, other in sorted(near) if far <= allowed][:limit] or [word])
    chosen: list[str] = []
    for n in range(max(map(len, meant), default=0)):
        text = " ".join(others[min(n, len(others) - 1)] for others in meant)
        if text != " ".join(query.words) and text not in chosen:
            chosen.append(text)
    return tuple(chosen[:limit])


def _finds(query: Query, word: Word) -> bool:
    return any(
        word.text == wanted
        or (place == len(query.words) - 1 and word.text.startswith(wanted))
        or _nearly(wanted, word.text, prefix=place == len(query.words) - 1)
        or _same_number(wanted, word.text)
        for place, wanted in enumerate(query.words)
    )


def _nearly(wanted: str, word: str, *, prefix: bool) -> bool:
    allowed = typos(wanted)
    if not allowed:
        return False
    if distance(wanted, word, allowed) <= allowed:
        return True
    ends = range(len(wanted) - allowed, len(wanted) + allowed + 1) if prefix else ()
    return any(distance(wanted, word[:end], allowed) <= allowed for end in ends if 0 < end < len(word))


def _same_number(wanted: str, word: str) -> bool:
    """``123`` and ``so123`` mark the digits of SO-000123."""
    digits = wanted.lstrip("abcdefghijklmnopqrstuvwxyz").lstrip("0")
    return digits.isdigit() and word.isdigit() and word.lstrip("0").startswith(digits)
