"""What is expected of a plan, learned from traces; and the operations that writing takes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import fmean

import pytest

from archc import api
from archc.exporters.recorded import read_trace
from archc.planning.expected import Expectation, expected
from archc.planning.flops import eflops, flops
from archc.planning.learned import Experience, learned, longest, together
from archc.planning.plan import Plan
from archc.planning.show_expected import show_expected
from archc.runtime.trace import Event, JsonlFile
from archc.source import Source
from archc.spec.model import ModelShape
from tests.fakes import Events, Scripted, answer, plan_of

UNTIL = "- until: {condition: count >= 3, max: 8, batch: 2, do: [generate: m]}\n- fuse: m"


def traced(plan: Plan, takes: float = 1.0) -> tuple[list[Event], Experience]:
    events = Events()
    answer(plan, Scripted(takes=takes), listeners=[events])
    return events.all, together(learned([events.all]))


def of(plan: Plan, takes: float = 1.0) -> Expectation:
    return expected(plan, traced(plan, takes)[1])


def test_what_is_expected_of_the_same_question_is_what_it_came_to() -> None:
    plan = plan_of(UNTIL)
    events, experience = traced(plan)
    bought = [event for event in events if event["event"] == "call"]
    means = expected(plan, experience)

    assert means.total.calls == sum(event["calls"] for event in bought) == 5
    assert means.total.tokens == sum(event["prompt_tokens"] + event["completion_tokens"] for event in bought)
    assert means.unknown == ()
    assert sum(map(means.share, means.nodes)) == pytest.approx(1)


def test_bounds_correct_what_another_plan_let_expect() -> None:
    _, experience = traced(plan_of("- generate: {model: m, n: 2}\n- fuse: m"))
    wider = expected(plan_of("- generate: {model: m, n: 16}\n- fuse: m"), experience)

    assert wider.nodes["generate"].calls == 16
    assert wider.total.calls == 17


def test_of_a_new_step_nothing_is_known_and_that_is_said() -> None:
    _, experience = traced(plan_of("- generate: {model: m, n: 2}"))
    plan = plan_of("- generate: {model: m, n: 2}\n- fuse: m")

    assert expected(plan, experience).unknown == ("fuse",)
    assert "nothing is known of fuse" in show_expected(plan, [experience])


def test_the_time_is_that_of_the_longest_path() -> None:
    assert of(plan_of("- generate: {model: m, n: 4}\n- fuse: m"), takes=2.0).seconds == pytest.approx(4.0)
    branches = "- - generate: m\n  - - generate: m\n    - fuse: m\n- fuse: m"
    assert of(plan_of(branches), takes=2.0).seconds == pytest.approx(6.0)


def test_the_slowest_of_several_is_later_than_the_mean_by_order_statistics() -> None:
    rng = random.Random(0)
    seconds = sorted(rng.expovariate(1.0) for _ in range(20_000))
    harmonic = sum(1 / i for i in range(1, 33))

    assert longest(seconds, 1) == pytest.approx(fmean(seconds))
    assert longest(seconds, 32) == pytest.approx(harmonic, rel=0.02)


def test_a_question_without_an_end_and_torn_lines_count_nothing(tmp_path: Path) -> None:
    events, _ = traced(plan_of(UNTIL))
    file = JsonlFile(tmp_path / "t")
    for event in [*events, *events[:-1]]:
        file(event)
    file.close()
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:-3])

    assert len(learned(session.events for session in read_trace(tmp_path / "t").sessions)) == 1


def test_traces_say_what_was_planned_and_what_it_came_to() -> None:
    plan = plan_of(UNTIL)
    events, _ = traced(plan)
    session, end = events[0], events[-1]

    assert session["planned"]["calls"] == [plan.cost.calls.lo, plan.cost.calls.hi]
    assert session["planned"]["calls"][0] <= end["calls"] <= session["planned"]["calls"][1]
    assert json.dumps(end)


# By Kinetics' cost model, for Qwen3 writing 16,384 tokens after 256: how much more reading counts than computing.
QWEN3 = [
    (0.752e9, 28, 16, 158),
    (2.03e9, 28, 16, 91),
    (4.02e9, 36, 32, 54),
    (8.19e9, 36, 32, 33),
    (14.77e9, 40, 40, 21),
    (32.76e9, 64, 64, 15),
]


@pytest.mark.parametrize(("params", "layers", "heads", "ratio"), QWEN3)
def test_reading_outweighs_computing_as_kinetics_says(params: float, layers: int, heads: int, ratio: int) -> None:
    shape = ModelShape(params=params, layers=layers, heads=heads, kv_heads=8)
    computing = flops(shape, 256, 16_384)

    assert round((eflops(shape, 256, 16_384) - computing) / computing) == ratio


def test_samples_of_one_prompt_read_it_once() -> None:
    shape = ModelShape(params=8.19e9, layers=36, heads=32, kv_heads=8)

    assert flops(shape, 4096, 512, n=8) == 8 * flops(shape, 4096, 512)
    assert eflops(shape, 4096, 512, n=8) < 8 * eflops(shape, 4096, 512)


def test_a_plan_counts_operations_where_it_knows_what_models_are_made_of() -> None:
    shape = "shape: {params: 8.0e9, layers: 36, heads: 32, kv_heads: 8}"
    spec = "models: {{m: {{backend: simulated, model: m, {}}}}}\npipeline: [{{generate: {{model: m, n: {}}}}}]"
    one, four = (api.compile(Source("s.yaml", spec.format(shape, n))).cost.eflops for n in (1, 4))
    without = api.compile(Source("s.yaml", spec.format("retries: 1", 1))).cost.eflops

    assert one
    assert four == 4 * one
    assert without is None
