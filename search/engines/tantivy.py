"""tantivy in this process: indexes in files, written by one process at a time, read by any number of others.

A reader looks at the current generation's ``meta.json`` before each search and opens it anew when it was replaced.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import tantivy
from tantivy import Index, IndexWriter, Query

from search.documents import Document
from search.engines import tantivy_queries
from search.engines.generations import Generations, about, damage, note
from search.engines.tantivy_queries import RANK
from search.errors import EngineUnavailable, IndexLocked, IndexMissing
from search.port import Found, Match, Search, Standing
from search.words import typos

HEAP: Final = 16 * 1024 * 1024
"""Bytes that a writer collects before it writes a segment; one thread, because the machine has others to serve."""

SCAN: Final = 5_000
_LOW: Final = (1 << 64) - 1


@dataclass(slots=True)
class _Reader:
    path: Path
    stamp: tuple[int, int]
    index: Index
    searcher: tantivy.Searcher


@dataclass(slots=True)
class _Building:
    """An index under way. ``written`` are documents that did not come by ``fill``, and may come by it yet.

    A deletion for every document would be kept in memory until the commit: 900 MB for a million.
    """

    path: Path
    written: set[UUID]


class Tantivy:
    """Raises IndexLocked when another process writes; reading needs no lock."""

    name = "tantivy"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._schema = tantivy_queries.schema()
        self._lock = threading.Lock()
        self._readers: dict[str, _Reader] = {}
        self._writers: dict[Path, IndexWriter] = {}
        self._building: dict[str, _Building] = {}
        self._checked: set[Path] = set()

    def settings(self, entity: str) -> object:
        return tantivy_queries.settings()

    def search(self, searches: Sequence[Search]) -> list[Found]:
        """Typing mistakes are looked for where nothing is found as it was typed, two where one is not enough: words
        with two cost 10 ms in 100,000 documents, with one 1.7 ms, without 0.3 ms. Whether something is found is asked
        of what the reader may see, so that nobody learns more from it.
        """
        found = [self._search(search, 0) for search in searches]
        most = max((typos(word) for search in searches for word in search.words), default=0)
        for mistakes in range(1, most + 1):
            if any(result.total for result in found):
                break
            found = [self._search(search, mistakes) for search in searches]
        return found

    def examine(self, entity: str, *, thoroughly: bool = False) -> Standing:
        path = self._generations(entity).current()
        if path is None:
            return Standing(None, 0, 0, "there is none")
        if thoroughly and path not in self._checked:
            # Once a process: whatever damages files behind our back does so while nobody runs, or by hand.
            if found := damage(path):
                self._forget(entity, path)
                return Standing(None, 0, 0, f"it is damaged: {found}")
            self._checked.add(path)
        try:
            documents = self._reader(entity).searcher.num_docs
        except (IndexMissing, EngineUnavailable) as error:
            self._forget(entity, path)
            return Standing(None, 0, 0, f"it cannot be opened: {error}")
        content = about(path)
        return Standing(content.get("fingerprint"), int(content.get("version", 0)), documents)

    def write(self, entity: str, put: Sequence[Document], remove: Sequence[UUID], version: int) -> None:
        live, building = self._generations(entity).current(), self._building.get(entity)
        if live is None and building is None:
            raise IndexMissing(f"There is no index of {entity} in {self._directory}; the search worker builds it.")
        ids = [*(document.id for document in put), *remove]
        if building is not None:
            self._put(entity, building.path, put, ids)
            building.written.update(ids)
        if live is not None:
            self._put(entity, live, put, ids)
            with self._translated(entity, live):
                self._writer(live).commit()
                note(live, durably=False, version=max(version, int(about(live).get("version", 0))))

    def begin(self, entity: str, fingerprint: str) -> None:
        generations = self._generations(entity)
        if before := self._building.pop(entity, None):
            self._close(before.path)
        try:
            path = generations.make()
            Index(self._schema, str(path))
            note(path, fingerprint=fingerprint, version=0)
        except (OSError, ValueError) as error:
            raise _unavailable(entity, error) from error
        self._building[entity] = _Building(path, set())

    def fill(self, entity: str, put: Sequence[Document]) -> None:
        building = self._building.get(entity)
        if building is None:
            raise IndexMissing(f"No index of {entity} is being built.")
        self._put(entity, building.path, put, building.written.intersection(document.id for document in put))

    def finish(self, entity: str, version: int) -> None:
        building = self._building.get(entity)
        if building is None:
            raise IndexMissing(f"No index of {entity} is being built.")
        path = building.path
        generations = self._generations(entity)
        before = generations.current()
        with self._translated(entity, path):
            self._writer(path).commit()
            note(path, version=version)
            generations.choose(path)
        del self._building[entity]
        self._checked.add(path)
        self._close(path)
        self._close(before)
        with suppress(OSError):
            generations.sweep()

    def stored(self, entity: str, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        reader = self._reader(entity)
        with self._translated(entity, None):
            wanted = Query.term_set_query(self._schema, "id", [str(id) for id in ids])
            hits = reader.searcher.search(wanted, max(1, len(ids)), count=False).hits
            return _hashes(reader.searcher, [address for _, address in hits])

    def scan(self, entity: str) -> Iterator[Mapping[UUID, int]]:
        searcher = self._reader(entity).searcher
        for offset in range(0, searcher.num_docs, SCAN):
            with self._translated(entity, None):
                hits = searcher.search(Query.all_query(), SCAN, count=False, offset=offset).hits
                page = _hashes(searcher, [address for _, address in hits])
            yield page

    def close(self) -> None:
        """What was filled into an index that is not finished is lost; everything written is in its files."""
        for path in list(self._writers):
            self._close(path)
        self._building.clear()
        self._readers.clear()

    def _search(self, search: Search, mistakes: int) -> Found:
        try:
            reader = self._reader(search.entity)
        except IndexMissing:
            return Found(0, False, (), missing=True)
        with self._translated(search.entity, None):
            query = tantivy_queries.query(self._schema, search, mistakes)
            found: Any = reader.searcher.search(query, search.limit, weight_by_field="weight")
            addresses = [address for _, address in found.hits]
            ids = _ids(reader.searcher, addresses)
            weights = reader.searcher.fast_field_values("weight", addresses) if addresses else []
            matches = [
                Match(
                    id=id,
                    score=score / (weight or 1),
                    rank=((weight or 1) - 1) / RANK,
                    body=orjson.loads(reader.searcher.doc(address)["body"][0]),
                )
                for (score, address), id, weight in zip(found.hits, ids, weights, strict=True)
            ]
        return Found(found.count, False, tuple(matches))

    def _reader(self, entity: str) -> _Reader:
        """The searcher of what was last committed. Raises IndexMissing where there is nothing readable."""
        path = self._generations(entity).current()
        if path is None:
            raise IndexMissing(f"There is no index of {entity}.")
        kept = self._readers.get(entity)
        try:
            stamp = _stamp(path)
            if kept is not None and kept.path == path and kept.stamp == stamp:
                return kept
            with self._lock, self._translated(entity, None):
                if kept is not None and kept.path == path:
                    index = kept.index
                    index.reload()
                else:
                    index = Index.open(str(path))
                    index.config_reader("manual")
                    index.reload()
                reader = _Reader(path, stamp, index, index.searcher())
        except (OSError, EngineUnavailable) as error:
            raise IndexMissing(f"The index of {entity} cannot be read ({error}).") from error
        self._readers[entity] = reader
        return reader

    def _put(self, entity: str, path: Path, put: Sequence[Document], replaced: Iterable[UUID]) -> None:
        with self._translated(entity, path):
            writer = self._writer(path)
            for id in replaced:
                writer.delete_documents_by_term("id", str(id))
            for document in put:
                writer.add_document(_document(document))

    def _writer(self, path: Path) -> IndexWriter:
        if path not in self._writers:
            try:
                self._writers[path] = Index.open(str(path)).writer(HEAP, 1)
            except ValueError as error:
                if "lock" in str(error).lower():
                    raise IndexLocked(f"Another process writes the index in {path}.") from error
                raise
        return self._writers[path]

    @contextmanager
    def _translated(self, entity: str, writing: Path | None) -> Iterator[None]:
        """Errors of tantivy as ours; a writer that failed has forgotten what it held and is replaced.

        A damaged file may make tantivy panic, which is no Exception of Python's.
        """
        try:
            yield
        except (EngineUnavailable, IndexLocked, IndexMissing):
            raise
        except (OSError, ValueError) as error:
            self._give_up(entity, writing)
            raise _unavailable(entity, error) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            self._give_up(entity, writing)
            raise _unavailable(entity, error) from error

    def _give_up(self, entity: str, writing: Path | None) -> None:
        building = self._building.get(entity)
        if building is not None and building.path == writing:
            del self._building[entity]
        self._close(writing)

    def _close(self, path: Path | None) -> None:
        """Lets go of the writer, and with it of the lock. Merges that it was at are begun again by the next one."""
        writer = self._writers.pop(path, None) if path is not None else None
        if writer is not None:
            with suppress(Exception):
                writer.rollback()
            del writer

    def _forget(self, entity: str, path: Path) -> None:
        self._readers.pop(entity, None)
        self._close(path)

    def _generations(self, entity: str) -> Generations:
        return Generations(self._directory / entity)


def _document(document: Document) -> tantivy.Document:
    """As tantivy stores it. ``weight`` multiplies a score, so that rank decides between equal ones."""
    made = tantivy.Document()
    made.add_text("id", str(document.id))
    if document.searched["name"]:
        made.add_text("title", document.searched["name"])
    for name, text in document.searched.items():
        if text:
            made.add_text(name, text)
    for name, terms in (("keys", document.keys), ("parent_keys", document.parent_keys), ("facets", document.facets)):
        for term in terms:
            made.add_text(name, term)
    made.add_unsigned("high", document.id.int >> 64)
    made.add_unsigned("low", document.id.int & _LOW)
    made.add_integer("hash", document.hash)
    made.add_float("weight", 1 + RANK * document.rank)
    made.add_bytes("body", orjson.dumps(document.body))
    return made


def _ids(searcher: tantivy.Searcher, addresses: list[tantivy.DocAddress]) -> list[UUID]:
    if not addresses:
        return []
    high, low = (searcher.fast_field_values(name, addresses) for name in ("high", "low"))
    return [UUID(int=int(h or 0) << 64 | int(n or 0)) for h, n in zip(high, low, strict=True)]


def _hashes(searcher: tantivy.Searcher, addresses: list[tantivy.DocAddress]) -> dict[UUID, int]:
    if not addresses:
        return {}
    hashes: list[Any] = searcher.fast_field_values("hash", addresses)
    return dict(zip(_ids(searcher, addresses), hashes, strict=True))


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path / "meta.json")
    return status.st_mtime_ns, status.st_ino


def _unavailable(entity: str, error: BaseException) -> EngineUnavailable:
    return EngineUnavailable(f"The index of {entity} cannot be used at the moment: {error}")
