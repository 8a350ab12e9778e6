"""Documents: what can be found of a row, built by one SQL statement per entity on the mirror, given keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import dict_row

from policy.keys import row_keys
from search.entities import ENTITIES, Entity
from search.errors import MirrorMissing
from search.words import code_forms, composed, fold, folded

Connection = psycopg.Connection[tuple[Any, ...]]

LONGEST_TEXT: Final = 2_000
"""Characters of one text that are searched and shown: an engine refuses, or silently cuts, what has no bound."""

MOST_ITEMS: Final = 500
"""Different things in one document; Meilisearch forgets words after the 65,535th of a field."""

STATEMENTS: Final = {entity.name: (resources.files(__name__) / f"{entity.name}.sql").read_text() for entity in ENTITIES}

ROOTS: Final = {
    "account": ("contacts", "account", "account_uuid"),
    "contact": ("contacts", "contact", "id"),
    "product": ("inventory", "product", "id"),
    "order": ("orders", "sales_order", "id"),
}
"""Entity → schema, table and key column of the rows that have a document each."""


@dataclass(frozen=True)
class Document:
    """One document. ``body`` is what a hit shows, plain text throughout; the rest is what it is found by.

    ``searched`` are folded words by field of ``search.port.FIELDS``. ``keys`` and ``parent_keys`` open it and its
    parent's text (``policy.keys``); ``facets`` are terms of ``facet``. ``rank`` (0 to 1) orders equal matches.
    """

    entity: str
    id: UUID
    searched: Mapping[str, str]
    keys: tuple[str, ...]
    parent_keys: tuple[str, ...]
    facets: tuple[str, ...]
    rank: float
    body: Mapping[str, Any] = field(repr=False)

    @cached_property
    def hash(self) -> int:
        """Equal for equal documents: 63 bits of BLAKE2b over everything that an engine is given."""
        content = [self.searched, self.keys, self.parent_keys, self.facets, self.rank, self.body]
        digest = hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1


def facet(name: str, value: str) -> str:
    """A filter term. Of the value only its digest stands in it, so that no value can be read as anything else."""
    return f"{name}:{hashlib.blake2b(fold(value).encode(), digest_size=8).hexdigest()}"


def load(connection: Connection, entity: str, ids: Sequence[UUID]) -> dict[UUID, Document]:
    """The documents of these rows as the mirror has them now; a row that is absent or deleted has none."""
    cursor = psycopg.RawCursor(connection, row_factory=dict_row)
    with of_mirror():
        rows = cursor.execute(STATEMENTS[entity].encode(), [list(ids)])
    return {row["id"]: _document(entity, row) for row in rows}


def root_ids(connection: Connection, entity: str, after: UUID | None, limit: int) -> list[UUID]:
    """Keys of the entity's rows in order, deleted ones included, from the one behind ``after``."""
    schema, table, key = ROOTS[entity]
    statement = f"select {key} from raw_{schema}.{table} where %s::uuid is null or {key} > %s order by {key} limit %s"
    with of_mirror():
        rows = connection.execute(statement.encode(), [after, after, limit])
    return [row[0] for row in rows]


def fingerprint(entity: Entity, engine_settings: object) -> str:
    """Changes when an index has to be built anew: another statement, another way to cut words, other settings."""
    code = (resources.files("search") / "words.py").read_bytes() + (
        resources.files(__name__) / "__init__.py"
    ).read_bytes()
    parts = [STATEMENTS[entity.name].encode(), code, orjson.dumps(engine_settings, option=orjson.OPT_SORT_KEYS)]
    return hashlib.blake2b(b"\0".join(parts), digest_size=12).hexdigest()


@contextmanager
def of_mirror() -> Iterator[None]:
    """Around a statement on the mirror: raises MirrorMissing while landing has not made a table of it."""
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        what = str(error).splitlines()[0]
        raise MirrorMissing(f"The mirror does not stand yet ({what}); landing makes it.") from error


def _document(entity: str, row: Mapping[str, Any]) -> Document:
    number, title = _text(row["number"]), _text(row["title"])
    parent = _text(row["parent"])
    details = [(name, _text(value)) for name, value in row["details"] if value]
    items = [_text(item) for item in (row["items"] or ())[:MOST_ITEMS]]
    facts = {name: _text(value) for name, value in row["facts"].items() if value}
    codes = [_text(code) for code in row["codes"] if code]
    parent_keys = row_keys(row["parent_owner_id"], row["parent_team_id"], row["parent_territory_id"])
    return Document(
        entity=entity,
        id=row["id"],
        searched={
            "codes": " ".join(dict.fromkeys(form for code in codes for form in code_forms(code))),
            "name": "" if title in codes else folded([title]),
            "detail": folded(value for _, value in details),
            "parent": folded([parent]),
            "items": " ".join(dict.fromkeys(folded(items).split())),
        },
        keys=tuple(row_keys(row["owner_id"], row["team_id"], row["territory_id"])),
        parent_keys=tuple(parent_keys),
        facets=tuple(facet(name, value) for name, value in facts.items()),
        rank=row["rank"],
        body={
            "number": number,
            "title": title or number or str(row["id"]),
            "subtitle": _text(row["subtitle"]),
            "parent": parent,
            "parent_keys": parent_keys,
            "details": details,
            "items": items,
            "facts": facts,
        },
    )


def _text(value: str | None) -> str:
    return composed(value or "")[:LONGEST_TEXT].replace("\0", " ")
