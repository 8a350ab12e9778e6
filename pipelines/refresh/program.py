"""What the hot lane runs: dbt's own compiled SQL of each hot model, and the SQL that finds the keys a batch touched."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pipelines.refresh.errors import ProgramError

_MARK = re.compile(r"/\*hot_keys\*/(.+?)/\*hot_keys\*/", re.DOTALL)

Table = tuple[str, str]
"""Schema and name of a source table, as the change log has them."""


@dataclass(frozen=True, slots=True)
class HotModel:
    """One hot model. Statements have ``$1`` placeholders; a list of keys is one array literal of ``key_type``.

    ``touched`` maps each source table to a statement with ``$1`` batch ids, ``$2`` the days they landed on and ``$3``
    a limit, which answers the keys (as text) whose rows those batches may have changed. ``below`` names the hot models
    that read this one, directly or not. ``follows_as_of`` says that every row depends on the day in ``ops.as_of``.
    """

    name: str
    relation: str
    key: str
    key_type: str
    delete_keys: str
    insert_keys: str
    delete_all: str
    insert_all: str
    touched: Mapping[Table, str]
    below: frozenset[str]
    follows_as_of: bool


@dataclass(frozen=True, slots=True)
class Program:
    """Every hot model, upstream first. ``prepare`` makes what readers need on the mirror and may run at any time.

    ``growing`` names the mirror tables (``schema.table``) that no statement for keys may read whole.
    """

    models: tuple[HotModel, ...]
    prepare: str
    growing: frozenset[str]


def load(manifest: Path) -> Program:
    """The program of a manifest that ``warehouse.compile.compile_hot`` made. Raises ProgramError."""
    content = json.loads(manifest.read_text())
    nodes: dict[str, dict[str, Any]] = content["nodes"]
    hot = {name: node for name, node in nodes.items() if node["resource_type"] == "model" and "hot" in node["tags"]}
    reads = {name: _hot_upstream(name, nodes, hot.keys()) for name in hot}
    order = _upstream_first(reads)
    below: dict[str, set[str]] = {name: set() for name in hot}
    for name in reversed(order):
        for upstream in reads[name]:
            below[upstream] |= {name} | below[name]
    models = tuple(_model(hot[name], frozenset(hot[n]["name"] for n in below[name])) for name in order)
    (prepare,) = (_portable(n) for n in nodes.values() if n["name"] == "prepare_mirrors")
    growing = frozenset(
        f"{source['schema']}.{source['name']}"
        for source in content["sources"].values()
        if source["config"]["meta"].get("growing")
    )
    return Program(models, prepare, growing)


def _upstream_first(reads: Mapping[str, set[str]]) -> list[str]:
    """In the same order in every process, so that two lanes lock tables alike."""
    sorter = TopologicalSorter(reads)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def _hot_upstream(name: str, nodes: Mapping[str, dict[str, Any]], hot: Any) -> set[str]:
    """The hot models that this one reads, through views where there are any between."""
    found: set[str] = set()
    for upstream in nodes[name]["depends_on"]["nodes"]:
        if upstream in hot:
            found.add(upstream)
        elif upstream in nodes:
            found |= _hot_upstream(upstream, nodes, hot)
    return found


def _model(node: dict[str, Any], below: frozenset[str]) -> HotModel:
    name = node["name"]
    declared = node["config"]["meta"].get("hot")
    if not declared or "key" not in declared or not declared.get("touched"):
        raise ProgramError(f"Model {name} is tagged hot without meta.hot.key and meta.hot.touched; declare both.")
    key = declared["key"]
    if key not in node["columns"]:
        raise ProgramError(f"Model {name} declares the hot key {key!r}, which is none of its columns.")
    key_type = node["columns"][key]["data_type"]
    compiled = _portable(node)
    if not _MARK.search(compiled):
        raise ProgramError(f"Model {name} is tagged hot but limits no scan with hot_keys() (macros/hot_keys.sql).")
    relation = f'"{node["schema"]}"."{node["alias"]}"'
    columns = ", ".join(f'"{column}"' for column in node["columns"])
    insert = f"insert into {relation} ({columns}) select {columns} from (\n{{}}\n) as compiled"
    return HotModel(
        name=name,
        relation=relation,
        key=key,
        key_type=key_type,
        delete_keys=f'delete from {relation} where "{key}" = any($1::{key_type}[])',
        insert_keys=insert.format(_MARK.sub(rf"\1 = any($1::{key_type}[])", compiled)),
        delete_all=f"delete from {relation}",
        insert_all=insert.format(_MARK.sub("true", compiled)),
        touched={_table(name, table): _touched(table, sql) for table, sql in declared["touched"].items()},
        below=below,
        follows_as_of=bool(declared.get("as_of")),
    )


def _portable(node: dict[str, Any]) -> str:
    """The compiled SQL without the name of the database it was compiled for."""
    return str(node["compiled_code"]).replace(f'"{node["database"]}".', "")


def _table(model: str, name: str) -> Table:
    schema, _, table = name.partition(".")
    if not table:
        raise ProgramError(f"Model {model} declares keys touched by {name!r}; write <service>.<table>.")
    return schema, table


def _touched(name: str, sql: str) -> str:
    """Wraps a declaration: its relation ``changed`` has one column, ``image``, with every image of every change."""
    schema, _, table = name.partition(".")
    return f"""
with changed as materialized (
    select images.image
    from log.change_log
    cross join lateral (values (key), (before), (after)) as images (image)
    where batch_id = any($1::bigint[]) and landed_on = any($2::date[])
        and schema_name = '{schema}' and table_name = '{table}' and images.image is not null
)
select distinct touched.key::text
from (
{sql}
) as touched (key)
where touched.key is not null
limit $3::bigint"""
