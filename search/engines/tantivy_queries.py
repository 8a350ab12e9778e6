"""A search as tantivy's query: constant scores by field and by how well a word fits, conditions that score nothing."""

from __future__ import annotations

from typing import Final, NamedTuple

from tantivy import Occur, Query, Schema, SchemaBuilder

from search.port import FIELDS, Search
from search.words import typos


class Weight(NamedTuple):
    """What a word scores in a field: as it stands, as the beginning of a word, with typing mistakes (0: not found)."""

    whole: float
    begun: float
    mistyped: float


WEIGHTS: Final[dict[str, Weight]] = {
    "codes": Weight(20, 12, 0),
    "name": Weight(10, 7, 3),
    "detail": Weight(5, 4, 1.2),
    "parent": Weight(4, 3, 1),
    "items": Weight(2, 1.5, 0.5),
}
WHOLE_TITLE: Final = 15.0
"""Added where the query is the whole title: the account Acme comes before Acme East."""

RANK: Final = 0.1
"""How much the best rank adds to a score, so that it decides between equal matches alone."""


def schema() -> Schema:
    """Words come folded, so white space alone cuts them. No frequencies: scores are constant."""
    builder = SchemaBuilder()
    for name in ("id", "title", "keys", "parent_keys", "facets"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    for name in ("high", "low"):
        builder.add_unsigned_field(name, fast=True)
    builder.add_integer_field("hash", fast=True)
    builder.add_float_field("weight", fast=True)
    builder.add_bytes_field("body", stored=True)
    return builder.build()


def settings() -> object:
    """What an index is made with; weights are not, they are of queries."""
    return ["tantivy", 1, list(FIELDS)]


def query(schema: Schema, search: Search, mistakes: int) -> Query:
    """``mistakes``: at most so many in each word, and no more than its length allows."""
    clauses = [(Occur.Must, _word(schema, search, place, mistakes)) for place in range(len(search.words))]
    if "name" in search.fields:
        whole = Query.term_query(schema, "title", " ".join(search.words), "basic")
        clauses.append((Occur.Should, Query.const_score_query(whole, WHOLE_TITLE)))
    if search.keys is not None:
        clauses.append((Occur.Must, _any(schema, "keys", search.keys)))
    if search.parent != "all":
        occur = Occur.Must if search.parent == "within" else Occur.MustNot
        clauses.append((occur, _any(schema, "parent_keys", search.parent_keys)))
    clauses += [(Occur.Must, _any(schema, "facets", terms)) for terms in search.facets]
    return Query.boolean_query(clauses)


def _word(schema: Schema, search: Search, place: int, mistakes: int) -> Query:
    """The best of what the word finds, field by field."""
    word, is_last = search.words[place], place == len(search.words) - 1
    allowed = min(typos(word), mistakes)
    found = []
    for field in search.fields:
        weight = WEIGHTS[field]
        found.append(Query.const_score_query(Query.term_query(schema, field, word, "basic"), weight.whole))
        if is_last:
            begun = Query.fuzzy_term_query(schema, field, word, 0, True, True)
            found.append(Query.const_score_query(begun, weight.begun))
        if allowed and weight.mistyped:
            mistyped = Query.fuzzy_term_query(schema, field, word, allowed, True, is_last)
            found.append(Query.const_score_query(mistyped, weight.mistyped))
    return Query.disjunction_max_query(found)


def _any(schema: Schema, field: str, terms: frozenset[str] | tuple[str, ...]) -> Query:
    return Query.const_score_query(Query.term_set_query(schema, field, sorted(terms)), 0.0)
