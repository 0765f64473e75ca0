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


def example(run: passes.Pass) -> tuple[Graph, str]:
    """The graph before and what it becomes, in the pass's docstring: a spec, or a graph where no spec says it."""
    doc = __import__(run.__module__, fromlist=["_"]).__doc__ or ""
    match = re.search(r"Before:\n((?: .*\n)+)\nAfter:\n((?: .*\n)+)", doc)
    assert match, f"{run.__name__} shows no before and after"
    before, after = map(textwrap.dedent, match.groups())
    return lowered(before), shape_of(lowered(after)) if after.startswith("- ") else after


def lowered(pipeline: str) -> Graph:
    return api.lower(api.parse(Source("example", MODELS + textwrap.indent(pipeline, "  "))), {})


def shape_of(graph: Graph) -> str:
    """The graph as text, with node names by position, since a pass keeps the names it found."""
    text = show(graph)
    for number, node in enumerate(graph.nodes):
        text = re.sub(rf"\b{node.id}\b(?!\()", f"n{number}", text)
    return re.sub(" +", " ", text)


@ALL
def test_before_becomes_after(run: passes.Pass) -> None:
    before, after = example(run)

    assert (shape_of(run(before)) if "n0" in after else show(run(before))).strip() == after.strip()


@ALL
def test_it_is_done_after_one_run_and_keeps_the_graph_whole(run: passes.Pass) -> None:
    once = run(example(run)[0])

    assert run(once) == once
    assert [d for d in check(once) if d.severity == "error"] == []
