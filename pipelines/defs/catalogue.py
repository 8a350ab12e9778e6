"""What dbt's manifest says about models, sources and tests, as far as lineage shows it.

Read here and not by dagster_dbt, which costs every process of Dagster 85 MB.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNFIT = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class ColumnDoc:
    name: str
    data_type: str
    description: str


@dataclass(frozen=True, slots=True)
class Source:
    """A table that is not built by dbt: a mirror, or state of the read side."""

    node: str
    schema: str
    name: str
    description: str
    is_mirror: bool

    @property
    def table(self) -> str:
        """``service.table``, as the change log names it."""
        return f"{self.schema.removeprefix('raw_')}.{self.name}"


@dataclass(frozen=True, slots=True)
class Model:
    """``upstream`` are nodes; ``group`` is the model's folder; ``access`` says who sees its rows."""

    node: str
    schema: str
    name: str
    description: str
    owner: str | None
    group: str
    materialized: str
    hot: bool
    access: str | None
    columns: tuple[ColumnDoc, ...]
    upstream: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """A data or unit test, shown as a check of ``model``, one of the nodes that it reads; ``others`` are the rest."""

    node: str
    name: str
    model: str
    others: tuple[str, ...]
    description: str
    warns: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything by its node; in the order of names, so that definitions compare."""

    sources: Mapping[str, Source]
    models: Mapping[str, Model]
    tests: Mapping[str, Test]

    @property
    def mirrors(self) -> list[Source]:
        return [source for source in self.sources.values() if source.is_mirror]


def load(manifest: Path) -> Catalogue:
    content = json.loads(manifest.read_text())
    nodes = content["nodes"]
    sources = {key: _source(key, node) for key, node in sorted(content["sources"].items())}
    models = {key: _model(key, node) for key, node in sorted(nodes.items()) if node["resource_type"] == "model"}
    named: set[tuple[str, str]] = set()
    tests = {}
    for key, node in sorted((nodes | content["unit_tests"]).items()):
        if node["resource_type"] in ("test", "unit_test") and (found := _test(key, node, models)):
            tests[key] = _unique(found, named)
    return Catalogue(sources, models, tests)


def _source(key: str, node: Mapping[str, Any]) -> Source:
    return Source(key, node["schema"], node["name"], _flat(node["description"]), node["schema"].startswith("raw_"))


def _model(key: str, node: Mapping[str, Any]) -> Model:
    meta = node["config"]["meta"]
    folders = node["fqn"][1:-1]
    return Model(
        node=key,
        schema=node["schema"],
        name=node["alias"],
        description=_flat(node["description"]),
        owner=meta.get("owner"),
        group="_".join(folders),
        materialized=node["config"]["materialized"],
        hot="hot" in node["tags"],
        access=_access(meta.get("row_security")),
        columns=tuple(
            ColumnDoc(column["name"], column.get("data_type") or "", _flat(column["description"]))
            for column in node["columns"].values()
        ),
        upstream=tuple(sorted(set(node["depends_on"]["nodes"]))),
    )


def _access(declared: Any) -> str | None:
    if declared is None or isinstance(declared, str):
        return declared
    return ", ".join(f"{name} {value}" for name, value in sorted(declared.items()))


def _test(key: str, node: Mapping[str, Any], models: Mapping[str, Model]) -> Test | None:
    """A test that reads no model has nothing it could be a check of."""
    read = [name for name in node["depends_on"]["nodes"] if name in models]
    if not read:
        return None
    # A singular test belongs to the one model it reads that is furthest from the sources.
    furthest = max(read, key=lambda name: (len(models[name].upstream), name))
    model = node["attached_node"] if node.get("attached_node") in models else furthest
    generic = node.get("test_metadata")
    if generic is None:
        name = ("unit_" if node["resource_type"] == "unit_test" else "") + node["name"]
    else:
        name = "_".join(filter(None, (generic["name"], node.get("column_name"), _arguments(generic["kwargs"]))))
    return Test(
        node=key,
        name=_UNFIT.sub("_", name).strip("_"),
        model=model,
        others=tuple(sorted(set(read) - {model})),
        description=_flat(node.get("description") or "") or _said(node),
        warns=str(node["config"].get("severity", "error")).lower() == "warn",
    )


def _said(node: Mapping[str, Any]) -> str:
    """What a test without a description is about: the comment that heads its SQL, or dbt's own test and its column."""
    generic = node.get("test_metadata")
    if generic is not None:
        return f"dbt's test {generic['name']}" + (f" of {node['column_name']}." if node.get("column_name") else ".")
    lines = itertools.takewhile(lambda line: line.startswith("--"), (node.get("raw_code") or "").splitlines())
    return _flat(" ".join(line.removeprefix("--") for line in lines))


def _arguments(arguments: Mapping[str, Any]) -> str:
    """What tells two tests of one column apart: the model that a relationship leads to."""
    to = re.search(r"'(\w+)'\s*\)", str(arguments.get("to", "")))
    return f"in_{to[1]}" if to else ""


def _unique(test: Test, named: set[tuple[str, str]]) -> Test:
    name, number = test.name, 2
    while (test.model, name) in named:
        name, number = f"{test.name}_{number}", number + 1
    named.add((test.model, name))
    return Test(test.node, name, test.model, test.others, test.description, test.warns)


def _flat(text: str) -> str:
    return " ".join(text.split())
