"""What was typed, as words: control characters are spaces, operators of any language are only characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from search.errors import QueryRefused
from search.words import composed, words

LONGEST: Final = 500
"""Characters."""

MOST_WORDS: Final = 10
"""Words that are searched for; Meilisearch takes no more either."""


@dataclass(frozen=True, slots=True)
class Query:
    """``words`` are folded and must all be found; the last one may be the beginning of a word."""

    text: str
    words: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def last(self) -> str:
        return self.words[-1]


def parse(text: str) -> Query:
    """Raises QueryRefused for a text longer than any question."""
    if len(text) > LONGEST:
        raise QueryRefused("q", f"has {len(text):,} characters; at most {LONGEST} are searched for")
    shown = " ".join("".join(c if c.isprintable() else " " for c in composed(text)).split())
    found = list(dict.fromkeys(word.text for word in words(shown)))
    return Query(shown, tuple(found[:MOST_WORDS]), tuple(found[MOST_WORDS:]))
