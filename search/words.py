"""Words as both engines compare them: folded, cut alike in documents, queries and highlights; codes and their forms.

Engines get folded words with spaces between, so that what is found does not depend on an engine's own idea of a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

LONGEST_WORD: Final = 60
"""Characters; longer runs are base64 or a mistake, and nobody types them."""

ONE_TYPO_FROM: Final = 5
TWO_TYPOS_FROM: Final = 9
"""Letters of a word from which it may be found with one typing mistake, and with two (Meilisearch's defaults)."""

_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힣]|[^\W_぀-ヿ㐀-鿿가-힣]+")
_RUNS = re.compile(r"[a-z]+|[0-9]+")
_SPECIAL = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "ŋ": "n", "ħ": "h"}
)


class Word(NamedTuple):
    """A folded word and where it stands in the text it was cut from."""

    text: str
    start: int
    end: int


def fold(text: str) -> str:
    """Lower case without accents: ``Müller-Øst`` → ``muller-ost``."""
    if text.isascii():
        return text.lower()
    lowered = text.lower().translate(_SPECIAL)
    if lowered.isascii():
        return lowered
    decomposed = unicodedata.normalize("NFKD", lowered)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def composed(text: str) -> str:
    """An accent that stood as a character of its own, and would cut its word in two, is one with its letter (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def words(text: str) -> Iterator[Word]:
    """Every word of a ``composed`` text, in order; a Chinese, Japanese or Korean character is a word by itself."""
    for found in _WORD.finditer(text):
        # Folding may leave more than one word: ¼ is 1⁄4.
        for piece in _WORD.findall(fold(found.group())):
            yield Word(piece[:LONGEST_WORD], found.start(), found.end())


def folded(texts: Iterable[str]) -> str:
    """The words of the texts with spaces between, as an engine indexes them."""
    return " ".join(word.text for text in texts for word in words(text))


def code_forms(code: str) -> list[str]:
    """How people type a code: ``SO-000123`` → so, 000123, so000123, 123, so123; ``BK-M82S-42`` → also bkm82s42, m82s.

    Folded, without repeats, in a fixed order.
    """
    parts = [word.text for word in words(code)]
    forms = [*parts, "".join(parts), *(part.lstrip("0") for part in parts if part.isdigit())]
    forms.append("".join(part.lstrip("0") if part.isdigit() else part for part in parts))
    for part in parts:
        if not part.isdigit() and not part.isalpha():
            forms += [run for run in _RUNS.findall(part) if len(run) > 1]
    return list(dict.fromkeys(form[:LONGEST_WORD] for form in forms if form))


def typos(word: str) -> int:
    """How many typing mistakes the word may hold. None in what has digits: the next number is another order."""
    if any(c.isdigit() for c in word):
        return 0
    return 2 if len(word) >= TWO_TYPOS_FROM else 1 if len(word) >= ONE_TYPO_FROM else 0


def distance(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words; at most ``limit + 1``.

    Optimal string alignment: Damerau (1964) as restricted by Oommen and Loke (1997).
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return min(last[-1], limit + 1)
