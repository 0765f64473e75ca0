"""Every pass goes through one suite: its docstring's before and after hold, and it is done after one run."""

from __future__ import annotations

import re
import textwrap

import pytest

from archc import api, passes
from archc.ir.check import check
from archc.ir.graph import Graph
from archc.ir.show import show
from archc.source import Source

MODELS = "models:\n  small: {backend: simulated, model: s}\npipeline:\n"

ALL = pytest.mark.parametrize("run", passes.ORDER, ids=lambda run: str(run.__name__))


def graphs(run: passes.Pass) -> tuple[Graph, Graph]:
    """The graphs before and after in the pass's docstring."""
    doc = __import__(run.__module__, fromlist=["_"]).__doc__
    match = re.search(r"Before:\n(.*?)After:\n(.*)", doc, re.DOTALL)
    assert match, f"{run.__name__} shows no before and after"
    before, after = (MODELS + textwrap.indent(textwrap.dedent(part), "  ") for part in match.groups())
    return api.lower(api.parse(Source("before", before)), {}), api.lower(api.parse(Source("after", after)), {})


def shape_of(graph: Graph) -> str:
    """The graph as text, with node names by position, since a pass keeps the names it found."""
    text = show(graph)
    for number, node in enumerate(graph.nodes):
        text = re.sub(rf"\b{node.id}\b(?!\()", f"n{number}", text)
    return re.sub(" +", " ", text)


@ALL
def test_before_becomes_after(run: passes.Pass) -> None:
    before, after = graphs(run)

    assert shape_of(run(before)) == shape_of(after)


@ALL
def test_it_is_done_after_one_run_and_keeps_the_graph_whole(run: passes.Pass) -> None:
    once = run(graphs(run)[0])

    assert run(once) == once
    assert [d for d in check(once) if d.severity == "error"] == []
