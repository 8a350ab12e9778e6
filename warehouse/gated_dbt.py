"""dbt, as a program, where every failing test keeps what is built on its model from being built.

dbt's own build holds a model back for a failing test only where the model descends from everything that the test reads
(drawback 1 in its ``Linker.add_test_edges``): a relationship of orders to days, or the comparison of orders with their
lines, stopped nothing that is built on orders alone. Of the 22 tests here that read two models and do not merely warn,
five let something through so; c360_account was built from orders that differed from their lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
from dbt.cli.main import cli
from dbt.compilation import Linker
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode
from dbt.node_types import NodeType

_add_test_edges = Linker.add_test_edges


def add_test_edges(linker: Linker, manifest: Manifest) -> None:
    """dbt's own edges, and one from each test to the nearest models below those that it is a test of.

    A generic test is one of the model it stands at; any other of what it reads, without what the rest of that is
    built on. A model that the test itself needs cannot wait for it; what is built on that model then does.
    """
    graph = linker.graph
    lineage = graph.copy()
    _add_test_edges(linker, manifest)
    for key, test in sorted(manifest.nodes.items()):
        if test.resource_type != NodeType.Test or str(test.config.severity).lower() == "warn":
            continue
        if isinstance(test, GenericTestNode) and test.attached_node:
            tested = [test.attached_node]
        else:
            read = set(test.depends_on_nodes)
            tested = sorted(node for node in read if not nx.descendants(lineage, node) & read)
        for model in _that_can_wait(graph, manifest, tested, key):
            graph.add_edge(key, model, edge_type="parent_test")


def _that_can_wait(graph: nx.DiGraph, manifest: Manifest, tested: list[str], test: str) -> Iterator[str]:
    """The nearest models below ``tested`` that nothing which ``test`` waits for is built on."""
    seen, below = set(tested), list(tested)
    while below:
        for found in sorted(graph.successors(below.pop())):
            node = manifest.nodes.get(found)
            if found in seen or node is None or node.resource_type == NodeType.Test:
                continue
            seen.add(found)
            if nx.has_path(graph, found, test):
                below.append(found)
            else:
                yield found


if __name__ == "__main__":
    Linker.add_test_edges = add_test_edges  # type: ignore[method-assign]
    cli()
