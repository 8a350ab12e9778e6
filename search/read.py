"""Finding: one question of one reader, answered in groups, from the documents that policy opens to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from heapq import merge
from typing import Any, Final

from django.conf import settings

from policy.decide import may, scopes
from policy.keys import reader_keys
from policy.principal import Principal
from policy.sql import claims
from search.answer import Answer, Group, Hit, Watermark
from search.documents import facet
from search.engines import open_engine
from search.entities import BY_NAME, ENTITIES, Entity
from search.errors import IndexMissing, QueryRefused, StaleToken
from search.highlight import completions, excerpt, mark, suggestions
from search.place import Place
from search.port import FIELDS, Engine, Found, Match, Search
from search.query import Query, parse
from warehouse.asking import ask

DEFAULT_LIMIT: Final = 5
HIGHEST_LIMIT: Final = 100

DEEPEST: Final = 1_000
"""Hits of one group that can be paged through: whoever wants more should ask for something narrower."""

MOST_VALUES: Final = 100
"""Values of one filter."""

SHORT: Final = 3
"""Letters of a single word below which only names and codes are searched: two letters begin half of all words."""

_STANDING: Final = b"""
select
    ops.tokens_valid_from($1),
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'source', source, 'lsn', lsn, 'committed_at', committed_at) order by source), '[]')
        from search.watermark
    )
"""


@cache
def engine_of(place: Place) -> Engine:
    """One a process: connections and opened indexes are kept."""
    return open_engine(place)


def find(
    principal: Principal,
    q: str,
    *,
    entities: Sequence[str] | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> Answer:
    """What ``principal`` may find for ``q``: at most ``limit`` hits of each of ``entities`` (all by default).

    ``filters`` name facts (``{"status": ["draft"]}``: one of several values, every name at once); entities that do
    not know one of them are left out. ``after`` continues a group and goes with exactly one entity. An entity that
    the reader's roles do not open is left out, as is one without a match. An empty ``q`` finds nothing.

    Raises QueryRefused for what cannot be asked, EngineUnavailable or IndexMissing while there is no answer,
    WarehouseUnavailable while the reader's rights cannot be checked, StaleToken for a token from before they changed.
    """
    return find_with(
        engine_of(settings.HEADWATER_SEARCH),
        settings.HEADWATER_WAREHOUSE,
        principal,
        q,
        entities=entities,
        filters=filters,
        limit=limit,
        after=after,
    )


def find_with(
    engine: Engine,
    warehouse: str,
    principal: Principal,
    q: str,
    *,
    entities: Sequence[str] | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> Answer:
    """``find`` with this engine, and this warehouse as ``wh_api``."""
    query = parse(q)
    wanted = _entities(entities, filters or {})
    offset = _offset(after, wanted)
    if not 1 <= limit <= HIGHEST_LIMIT:
        raise QueryRefused("limit", f"must be 1 to {HIGHEST_LIMIT}")
    limit = min(limit, DEEPEST - offset)
    # Before the search: whatever is committed between the two is found or not, and never promised.
    watermark = _watermark(warehouse, principal)
    views = [view for entity in wanted for view in _views(entity, principal, query, filters or {}, offset + limit)]
    found = list(zip(views, engine.search(views), strict=True)) if query.words and views else []
    missing = tuple(dict.fromkeys(view.entity for view, result in found if result.missing))
    if found and all(result.missing for _, result in found):
        raise IndexMissing("The search index is being built; try again in a moment.")
    groups, texts = [], []
    for entity in wanted:
        results = [(view, result) for view, result in found if view.entity == entity.name]
        group = _group(entity, results, query, principal, offset, limit)
        if group.hits:
            groups.append(group)
            texts += [hit.title.text for hit in group.hits]
    marked = [p.text for g in groups for hit in g.hits for f in (hit.title, *hit.fragments) for p in f.pieces()]
    return Answer(
        query=query.text,
        groups=tuple(groups),
        completions=completions(texts, query) if query.words else (),
        suggestions=suggestions(marked, query) if query.words and groups else (),
        ignored=query.ignored,
        missing=missing,
        watermark=watermark,
    )


def _entities(names: Sequence[str] | None, filters: Mapping[str, Sequence[str]]) -> list[Entity]:
    for name in names or ():
        if name not in BY_NAME:
            raise QueryRefused("entity", f"must be one of {', '.join(BY_NAME)}")
    for name, values in filters.items():
        if not any(name in entity.filters for entity in ENTITIES):
            known = sorted({name for entity in ENTITIES for name in entity.filters})
            raise QueryRefused("filter", f"must be by one of {', '.join(known)}")
        if not 1 <= len(values) <= MOST_VALUES:
            raise QueryRefused("filter", f"must name 1 to {MOST_VALUES} values of {name}")
    chosen = [entity for entity in ENTITIES if names is None or entity.name in names]
    return [entity for entity in chosen if all(name in entity.filters for name in filters)]


def _offset(after: str | None, wanted: Sequence[Entity]) -> int:
    if after is None:
        return 0
    if len(wanted) != 1:
        raise QueryRefused("after", "continues one entity; name it")
    if not (after.isascii() and after.isdigit() and len(after) <= 4 and 0 < int(after) < DEEPEST):
        raise QueryRefused("after", "is not the `after` of a group")
    return int(after)


def _watermark(warehouse: str, principal: Principal) -> tuple[Watermark, ...]:
    row = ask(warehouse, claims(principal), _STANDING, [principal.user_id])
    tokens_valid_from, sources = row or (None, [])
    if principal.issued_at < (tokens_valid_from or 0):
        raise StaleToken("The rights of this user changed after the token was issued; ask for a new one.")
    return tuple(Watermark(s["source"], s["lsn"], _time(s["committed_at"])) for s in sources)


def _views(
    entity: Entity, principal: Principal, query: Query, filters: Mapping[str, Sequence[str]], limit: int
) -> Iterator[Search]:
    """The searches that together find every document of the entity that the reader may see, each once.

    A parent's name is searched in documents whose parent the reader may see too; the others are searched without it.
    """
    keys = _keys(principal, entity.resource, scoped=entity.scoped)
    if keys is not None and not keys:
        return
    parents = _keys(principal, entity.parent, scoped=True) if entity.parent else frozenset[str]()
    fields = FIELDS if len(query.words) > 1 or len(query.words[:1] and query.words[0]) >= SHORT else FIELDS[:2]
    own = tuple(field for field in fields if field != "parent")
    facets = tuple(tuple(facet(name, value) for value in values) for name, values in filters.items())
    if parents is None:
        yield Search(entity.name, query.words, fields, keys, "all", frozenset(), facets, limit)
    elif not parents or fields == own:
        yield Search(entity.name, query.words, own, keys, "all", frozenset(), facets, limit)
    else:
        yield Search(entity.name, query.words, fields, keys, "within", parents, facets, limit)
        yield Search(entity.name, query.words, own, keys, "outside", parents, facets, limit)


def _keys(principal: Principal, resource: str | None, *, scoped: bool) -> frozenset[str] | None:
    """The keys that open the resource's rows to the reader; None for every row, empty for none."""
    permission = f"{resource}.read"
    if resource is None or not may(principal.roles, permission):
        return frozenset()
    return reader_keys(principal, scopes(principal.roles, permission, resource)) if scoped else None


def _group(
    entity: Entity,
    results: Sequence[tuple[Search, Found]],
    query: Query,
    principal: Principal,
    offset: int,
    limit: int,
) -> Group:
    parents = _keys(principal, entity.parent, scoped=True) if entity.parent else frozenset[str]()
    # Each result stays in its engine's order, which decides between equals alike on every page.
    matches = list(merge(*(result.matches for _, result in results), key=lambda match: (-match.score, -match.rank)))
    total = sum(result.total for _, result in results)
    page = matches[offset : offset + limit]
    end = offset + len(page)
    more = len(page) == limit and end < min(total, DEEPEST)
    return Group(
        entity=entity.name,
        total=max(total, end if page else 0),
        estimated=any(result.estimated for _, result in results),
        hits=tuple(_hit(entity, match, query, parents) for match in page),
        after=str(end) if more else None,
    )


def _hit(entity: Entity, match: Match, query: Query, parents: frozenset[str] | None) -> Hit:
    body = match.body
    shown = parents is None or not parents.isdisjoint(body["parent_keys"])
    parent = str(body["parent"]) if shown else ""
    subtitle = " · ".join(text for text in (parent, str(body["subtitle"])) if text)
    title = mark("title", str(body["title"]), query)
    under = mark("subtitle", subtitle, query)
    fragments = [mark(name, text, query) for name, text in body["details"] if text not in subtitle]
    items = next((found for item in body["items"] if (found := mark("item", item, query)).marks), None)
    if items is not None:
        fragments.append(items)
    return Hit(
        entity=entity.name,
        id=match.id,
        number=str(body["number"]),
        title=title,
        subtitle=excerpt(under),
        fragments=tuple(excerpt(fragment) for fragment in fragments if fragment.marks),
        facts=_facts(body["facts"]),
    )


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items()}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
