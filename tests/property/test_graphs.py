"""Random well-typed specs: they lower, passes keep what they promise, bounds hold together, and all of it is shown."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archc import api, ops, passes
from archc.ir.check import check
from archc.ir.graph import Graph
from archc.ir.liveness import SHOWN
from archc.ir.show import show
from archc.planning.plan import Cost, Plan
from archc.schema import json_schema
from archc.source import Source
from archc.spec.located import plain
from archc.spec.yaml import read_yaml
from tests.strategies import CONTROL, OPS, dumped, specs

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


def lowered(text: str) -> Graph:
    return api.lower(api.parse(Source("random.yaml", text)), {})


def errors_of(graph: Graph) -> list[str]:
    return [d.headline for d in check(graph) if d.severity == "error"]


def highs(cost: Cost) -> list[float]:
    usd = cost.usd or (0.0, 0.0)
    return [cost.calls.hi, cost.prompt_tokens.hi, cost.completion_tokens.hi, usd[1], cost.calls.lo, usd[0]]


def kept(graph: Graph) -> dict[str, object]:
    """What a pass may not change of the nodes that stay: all but what lies in blocks, which are nodes themselves."""
    return {n.id: (n.op if not n.op.blocks else n.op.name, n.site, n.span) for n in graph.every}


def no_dearer(after: Plan, before: Plan) -> bool:
    return after.depth.hi <= before.depth.hi and all(
        new <= old * (1 + 1e-9) for new, old in zip(highs(after.cost), highs(before.cost), strict=True)
    )


def test_the_strategy_knows_every_op() -> None:
    assert set(ops.names()) == OPS.keys() | CONTROL.keys()


@settings(max_examples=60, deadline=None)
@given(specs())
def test_well_typed_specs_lower_to_whole_graphs(text: str) -> None:
    graph = lowered(text)
    seen: set[str] = set()
    for node in graph.nodes:
        assert set(node.inputs) <= seen
        assert node.id not in seen
        assert graph.source.span().contains(node.span)
        seen.add(node.id)

    assert errors_of(graph) == []
    assert set(graph.outputs) <= seen
    assert len(set(graph.keys().values())) == len({(n.op, n.inputs, n.site) for n in graph.nodes})
    assert lowered(text) == graph


TWO_MOVE = """
models: {a: {backend: simulated, model: a}}
pipeline:
  - {generate: {model: a, n: 4}}
  - {write_tests: {model: a, kind: code}}
  - [{write_tests: {model: a}}, {score: {model: a}}]
"""


COPIES_WRITE = """
models: {a: {backend: simulated, model: a}}
pipeline:
  - {write_tests: {model: a}}
  - {until: {condition: count >= 2, max: 2, do: [{write_tests: {model: a}}, {generate: {model: a}}]}}
  - {evaluate: {model: a}}
"""


@settings(max_examples=80, deadline=None)
@given(specs(max_steps=8))
@example(TWO_MOVE)
@example(COPIES_WRITE)
@pytest.mark.parametrize("run", passes.ORDER, ids=lambda run: run.__name__)
def test_passes_keep_the_graph_whole_and_raise_no_bound(run: passes.Pass, text: str) -> None:
    before = lowered(text)
    after = run(before)

    assert errors_of(after) == []
    assert run(after) == after
    assert after.output_shape().size == before.output_shape().size
    assert after.output_shape().facets >= before.output_shape().facets & SHOWN
    assert no_dearer(api.plan(after), api.plan(before))
    assert kept(after).items() <= kept(before).items()


@settings(max_examples=50, deadline=None)
@given(specs(max_steps=8), st.integers(1, 4000))
def test_plans_add_up_and_are_shown(text: str, question: int) -> None:
    source = Source("random.yaml", text)
    plan = api.compile(source, question_tokens=question, environ={})
    page = json.loads(json.dumps(plan.as_json(), allow_nan=False))

    outer = [n for n in plan.nodes if not n.level]
    assert plan.cost.calls.hi == sum(n.cost.calls.hi for n in outer)
    assert plan.depth.hi <= sum(n.depth.hi for n in outer)
    assert plan.depth.hi >= max((n.depth.hi for n in outer if n.id in plan.graph.outputs), default=0)
    assert api.explain(plan).count("\n  total ") == 1
    assert all(show(step.after) for step in plan.steps)
    assert [n["id"] for n in page["nodes"]] == [n.id for n in plan.graph.every]
    assert no_dearer(plan, api.compile(source, question_tokens=question, skip=["drop_dead"], environ={}))
    assert no_dearer(plan, api.compile(source, question_tokens=question + 1, environ={}))


@functools.cache
def schema() -> Any:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


@settings(max_examples=30, deadline=None)
@given(specs())
def test_the_schema_takes_every_spec(text: str) -> None:
    schema().validate(plain(read_yaml(Source("random.yaml", text))))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_schema_takes_the_shipped_specs(path: Path) -> None:
    schema().validate(plain(read_yaml(api.read(path))))


@pytest.mark.parametrize(
    "text",
    [
        "pipeline: []",
        "models: {}",
        "pipeline: [{generat: {model: a}}]",
        "pipeline: [{generate: {model: a, nn: 4}}]",
        "pipeline: [{generate: {model: a, n: 0}}]",
        "pipeline: [{generate: {model: a}, vote: {}}]",
        "pipeline: [{generate: {model: a}}]\nmodel: {}",
        "pipeline: [{generate: {model: a}}]\nmodels: {a: {backend: simulated, skil: 1}}",
        "pipeline: [{generate: {model: a}}]\nbudget: {call: 1}",
        "pipeline: [{generate: {model: a}}]\nrules: strict",
    ],
)
def test_the_schema_refuses_what_archc_refuses(text: str) -> None:
    assert not schema().is_valid(plain(read_yaml(Source("wrong.yaml", text))))


def test_an_op_that_overwrites_is_not_dead() -> None:
    text = dumped(
        [
            {"generate": {"model": "a", "n": 4}},
            {"extract": {"kind": "number"}},
            {"extract": {"kind": "letter"}},
            "vote",
        ]
    )

    assert [n.op.name for n in api.optimise(lowered(text)).nodes] == ["generate", "extract", "vote"]
    assert "kind=letter" in show(api.optimise(lowered(text)))


def test_many_layers_of_layers_take_no_time() -> None:
    layers = [[{"score": {"model": "a"}}, {"write_tests": {"model": "a"}}] for _ in range(15)]
    graph = lowered(dumped([{"generate": {"model": "a", "n": 4}}, *layers]))

    assert errors_of(api.optimise(graph)) == []
