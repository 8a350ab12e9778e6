"""Meilisearch over HTTP: an index per entity, tasks awaited, an index that was built aside swapped in by one task.

A document ``_index`` in each index says what it was made with and how far it was written; it holds no words and no
keys, so nothing finds it. Writes only update it: in an index that Meilisearch made by itself, because it had lost ours,
the fingerprint is absent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from search.documents import Document
from search.engines.meilisearch_client import Client, Refusal
from search.errors import IndexMissing, SearchError
from search.port import FIELDS, Found, Match, Search, Standing
from search.words import ONE_TYPO_FROM, TWO_TYPOS_FROM

SETTINGS: Final[dict[str, Any]] = {
    "searchableAttributes": list(FIELDS),
    "filterableAttributes": ["keys", "parent_keys", "facets"],
    "sortableAttributes": [],
    "displayedAttributes": ["id", "hash", "rank", "body", "fingerprint", "version"],
    "rankingRules": ["words", "typo", "attribute", "exactness", "rank:desc"],
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": ONE_TYPO_FROM, "twoTypos": TWO_TYPOS_FROM},
        "disableOnAttributes": ["codes"],
        "disableOnNumbers": True,
    },
    "pagination": {"maxTotalHits": 100_000_000},
    "faceting": {"maxValuesPerFacet": 1},
    "proximityPrecision": "byAttribute",
    "searchCutoffMs": 1_000,
}
"""Proximity by attribute: words of one name are always near, and indexing does not have to note every pair. What counts
is not cut at a thousand hits; how far one can page is ``search.read.DEEPEST``."""

PAYLOAD: Final = 16 * 1024 * 1024
"""Bytes in one request, about; the server's default limit is 100 MB."""

FILLING: Final = 4
"""Tasks of an index under way that may wait at once: what is written meanwhile waits behind them."""

SCAN: Final = 1_000
_ABOUT: Final = "_index"
_SETTLED: Final = 'facets NOT IN ["-"]'
"""True of every document, and refused by an index without our settings: that one must not answer, not even nobody's."""


class Meilisearch:
    """``key`` may search and write documents, settings and indexes of the names that begin with ``prefix``."""

    name = "meilisearch"

    def __init__(self, url: str, key: str | None, prefix: str) -> None:
        self._client = Client(url, key)
        self._prefix = prefix
        self._building: dict[str, deque[int]] = {}

    def settings(self, entity: str) -> object:
        return ["meilisearch", 1, SETTINGS]

    def search(self, searches: Sequence[Search]) -> list[Found]:
        queries = [self._query(search) for search in searches]
        try:
            results = self._client.post("/multi-search", {"queries": queries}, reading=True)["results"]
        except IndexMissing:
            if len(searches) == 1:
                return [Found(0, True, (), missing=True)]
            return [found for search in searches for found in self.search([search])]
        return [_found(result) for result in results]

    def examine(self, entity: str, *, thoroughly: bool = False) -> Standing:
        self._client.require_version()
        live = self._live(entity)
        try:
            about = self._about(live)
            documents = int(self._client.get(f"/indexes/{live}/stats")["numberOfDocuments"]) - 1
        except IndexMissing:
            return Standing(None, 0, 0, "there is none")
        if not about.get("fingerprint"):
            return Standing(None, 0, 0, "it is not ours: Meilisearch lost it and made it anew by itself")
        return Standing(about["fingerprint"], int(about.get("version", 0)), documents)

    def write(self, entity: str, put: Sequence[Document], remove: Sequence[UUID], version: int) -> None:
        live, building = self._live(entity), self._building.get(entity)
        stands = self._stands(live)
        if not stands and building is None:
            raise IndexMissing(f"Meilisearch has no index {live}; the search worker builds it.")
        tasks = []
        if building is not None:
            tasks += self._send(self._next(entity), put, remove, None)
        if stands:
            tasks += self._send(live, put, remove, version)
        for task in tasks:
            self._client.await_task(task)

    def begin(self, entity: str, fingerprint: str) -> None:
        building = self._next(entity)
        self._building.pop(entity, None)
        self._drop(building)
        self._client.await_task(self._client.task("POST", "/indexes", {"uid": building, "primaryKey": "id"}))
        self._client.await_task(self._client.task("PATCH", f"/indexes/{building}/settings", SETTINGS))
        about = [{"id": _ABOUT, "fingerprint": fingerprint, "version": 0}]
        self._client.await_task(self._client.task("PUT", f"/indexes/{building}/documents", about))
        self._building[entity] = deque()

    def fill(self, entity: str, put: Sequence[Document]) -> None:
        waiting = self._building.get(entity)
        if waiting is None:
            raise IndexMissing(f"No index of {entity} is being built.")
        waiting.extend(self._send(self._next(entity), put, (), None))
        try:
            while len(waiting) > FILLING:
                self._client.await_task(waiting.popleft())
        except SearchError:
            # What the index lacks now is not known.
            del self._building[entity]
            raise

    def finish(self, entity: str, version: int) -> None:
        live, building = self._live(entity), self._next(entity)
        waiting = self._building.pop(entity)
        waiting.append(self._client.task("PUT", f"/indexes/{building}/documents", [_version(version)]))
        for task in waiting:
            self._client.await_task(task)
        if not self._about(building).get("fingerprint"):
            raise IndexMissing(f"Meilisearch lost the index {building} while it was built.")
        if not self._exists(live):
            self._client.await_task(self._client.task("POST", "/indexes", {"uid": live, "primaryKey": "id"}))
        self._client.await_task(self._client.task("POST", "/swap-indexes", [{"indexes": [live, building]}]))
        self._drop(building)

    def stored(self, entity: str, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        found: dict[UUID, int] = {}
        for start in range(0, len(ids), SCAN):
            wanted = [str(id) for id in ids[start : start + SCAN]]
            found |= self._hashes(entity, {"ids": wanted, "limit": len(wanted)})
        return found

    def scan(self, entity: str) -> Iterator[Mapping[UUID, int]]:
        offset = 0
        while page := self._hashes(entity, {"offset": offset, "limit": SCAN}):
            yield page
            offset += SCAN

    def close(self) -> None:
        self._building.clear()
        self._client.close()

    def _query(self, search: Search) -> dict[str, Any]:
        # Nothing that a person typed stands in a filter: keys are UUIDs, facets digests.
        conditions = [_SETTLED]
        if search.keys is not None:
            conditions.append(f"keys IN {_list(search.keys)}")
        if search.parent != "all":
            condition = f"parent_keys IN {_list(search.parent_keys)}"
            conditions.append(condition if search.parent == "within" else f"NOT {condition}")
        conditions += [f"facets IN {_list(terms)}" for terms in search.facets]
        return {
            "indexUid": self._live(search.entity),
            "q": " ".join(search.words),
            "filter": conditions,
            "limit": search.limit,
            "attributesToSearchOn": list(search.fields),
            "attributesToRetrieve": ["id", "rank", "body"],
            "matchingStrategy": "all",
            "showRankingScore": True,
        }

    def _send(self, index: str, put: Sequence[Document], remove: Sequence[UUID], version: int | None) -> list[int]:
        """The tasks of the requests, in their order. Every field is sent, so that an update replaces the document."""
        tasks = []
        if remove:
            path = f"/indexes/{index}/documents/delete-batch"
            tasks.append(self._client.task("POST", path, [str(id) for id in remove]))
        lines: list[bytes] = []
        size = 0
        for document in put:
            line = orjson.dumps(_document(document))
            if lines and size + len(line) > PAYLOAD:
                tasks.append(self._client.put_lines(index, lines))
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if version is not None:
            lines.append(orjson.dumps(_version(version)))
        if lines:
            tasks.append(self._client.put_lines(index, lines))
        return tasks

    def _hashes(self, entity: str, wanted: dict[str, Any]) -> dict[UUID, int]:
        path = f"/indexes/{self._live(entity)}/documents/fetch"
        results = self._client.post(path, wanted | {"fields": ["id", "hash"]})["results"]
        if "offset" in wanted and [row["id"] for row in results] == [_ABOUT]:
            return {}
        return {UUID(row["id"]): int(row["hash"]) for row in results if row["id"] != _ABOUT}

    def _about(self, index: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._client.get(f"/indexes/{index}/documents/{_ABOUT}")
        except Refusal as refusal:
            if refusal.code != "document_not_found":
                raise
            return {}
        return found

    def _stands(self, index: str) -> bool:
        """Whether the index is there and is one that we made."""
        try:
            return bool(self._about(index).get("fingerprint"))
        except IndexMissing:
            return False

    def _exists(self, index: str) -> bool:
        try:
            self._client.get(f"/indexes/{index}")
        except IndexMissing:
            return False
        return True

    def _drop(self, index: str) -> None:
        if self._exists(index):
            self._client.await_task(self._client.task("DELETE", f"/indexes/{index}", None))

    def _live(self, entity: str) -> str:
        return f"{self._prefix}_{entity}"

    def _next(self, entity: str) -> str:
        return f"{self._prefix}_{entity}__next"


def _document(document: Document) -> dict[str, Any]:
    """``hash`` as text: a JSON number of 63 bits does not survive every reader."""
    return {
        "id": str(document.id),
        **document.searched,
        "keys": document.keys,
        "parent_keys": document.parent_keys,
        "facets": document.facets,
        "rank": document.rank,
        "hash": str(document.hash),
        "body": document.body,
    }


def _version(version: int) -> dict[str, Any]:
    return {"id": _ABOUT, "version": version}


def _found(result: Mapping[str, Any]) -> Found:
    matches = tuple(
        Match(id=UUID(hit["id"]), score=hit["_rankingScore"], rank=float(hit["rank"]), body=hit["body"])
        for hit in result["hits"]
    )
    return Found(int(result["estimatedTotalHits"]), True, matches)


def _list(terms: frozenset[str] | tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{term}"' for term in sorted(terms)) + "]"
