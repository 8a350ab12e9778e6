"""How search stands, for ``status`` and ``doctor``."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg

from search.engines import open_engine
from search.entities import ENTITIES
from search.errors import SearchError
from search.place import Place


def describe(connection: psycopg.Connection[Any], place: Place) -> dict[str, Any]:
    """``engine``, ``indexes`` (an entry per entity), ``refused`` documents, and ``problem`` if the engine is silent.

    An index that stands has ``documents``, ``built_at`` (ISO 8601), ``seconds`` that it took and the ``reason`` why it
    was built; one that does not has a ``problem``. ``connection`` is in autocommit mode; rows are plain tuples.
    """
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        known = {
            entity: {"built_at": built_at.isoformat(), "seconds": seconds, "reason": reason}
            for entity, built_at, seconds, reason in cursor.execute(
                "select entity, built_at, seconds, reason from search.standing where fingerprint <> ''"
            ).fetchall()
        }
        refused = cursor.execute("select count(*)::bigint from search.refused").fetchone()
    report: dict[str, Any] = {"engine": "", "indexes": [], "refused": refused[0] if refused else 0, "problem": None}
    with closing(open_engine(place)) as engine:
        report["engine"] = engine.name
        for entity in ENTITIES:
            try:
                standing = engine.examine(entity.name)
            except SearchError as error:
                report["problem"] = str(error)
                return report
            found = {"entity": entity.name, "documents": standing.documents, "problem": standing.problem}
            report["indexes"].append(found | known.get(entity.name, {}))
    return report
