"""The control forms: what is run, how often, with which samples, and what goes on when calls fail."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from archc import api
from archc.calls import CallError, FailureKind, Request, Spend
from archc.diagnostics import SpecError
from archc.ir.statistics import STATISTICS, confidence
from archc.source import Source
from archc.values import Answer, Candidate, CandidateSet
from tests.fakes import Events, Reply, Scripted, answer, plan_of

NUMBERS = "- extract: {kind: number}\n"


def numbered(*numbers: int) -> Reply:
    """Sample i answers the i-th of these numbers, counted by the order of their seeds."""
    seen: dict[int, int] = {}

    def reply(request: Request, i: int) -> str:
        place = seen.setdefault(request.seeds[i], len(seen))
        return f"the answer is {numbers[place % len(numbers)]}"

    return reply


def seeds(backend: Scripted) -> list[int]:
    return [seed for request in backend.requests for seed in request.seeds]


# ---- repeat


def test_rounds_draw_samples_of_their_own() -> None:
    backend = Scripted()
    result = answer(plan_of("- repeat: {times: 3, do: [generate: {model: m, n: 2}]}"), backend)

    assert len(set(seeds(backend))) == 6
    assert result.nodes["repeat"].calls == result.spent.calls == 6
    assert len(result.candidates) == 2


def test_a_loop_ends_when_its_condition_holds() -> None:
    body = "do: [generate: {model: m, n: 2}, extract: {kind: number}]"
    plan = plan_of(f"- repeat: {{times: 5, until: agreement == 1, {body}}}")
    backend = Scripted(numbered(1, 2, 3, 4, 7, 7, 8, 9))
    result = answer(plan, backend)

    assert [c.answer and c.answer.text for c in result.candidates] == ["7", "7"]
    assert backend.completions == 6
    assert (plan.cost.calls.lo, plan.cost.calls.hi) == (2, 10)
    assert (plan.depth.lo, plan.depth.hi) == (1, 5)


def test_a_round_works_on_what_the_round_before_gave() -> None:
    plan = plan_of("- generate: {model: m}\n- repeat: {times: 3, do: [fuse: {model: m}]}")
    backend = Scripted(lambda r, i: f"<{len(r.messages[-1].content)}>")
    result = answer(plan, backend)

    assert [f"<{len(r.messages[-1].content)}>" for r in backend.requests][-1] == result.answer
    assert backend.requests[1].messages[-1].content.count("<") > 0
    assert len({r.messages[-1].content for r in backend.requests}) > 2


def test_a_round_that_gives_nothing_leaves_what_was_there() -> None:
    def reply(request: Request, i: int) -> str | CallError:
        return "first" if len(backend.requests) < 2 else CallError(FailureKind.AUTH, "no")

    backend = Scripted(reply)
    result = answer(plan_of("- repeat: {times: 3, do: [generate: {model: m}]}"), backend)

    assert (result.status, result.answer) == ("ok", "first")
    assert [note["fallback"] for note in result.notes if note["note"] == "degraded"] == [
        "kept the candidates that arrived"
    ]


def test_a_first_round_that_gives_nothing_is_no_answer() -> None:
    backend = Scripted(lambda r, i: CallError(FailureKind.AUTH, "no"))
    result = answer(plan_of("- repeat: {times: 3, do: [generate: {model: m}]}"), backend)

    assert result.status == "failed"
    assert result.error is not None
    assert result.error.name == "no-answer"
    assert result.error.span is not None
    assert result.error.span.text == "generate: {model: m}"


# ---- when


WHEN = """
- generate: {model: m, n: 2}
- extract: {kind: number}
- when: {condition: agreement == 1, then: [vote], else: [fuse: {model: other}]}
"""


@pytest.mark.parametrize(("numbers", "calls"), [((7, 7), 2), ((7, 8), 3)])
def test_one_way_is_taken(numbers: tuple[int, int], calls: int) -> None:
    plan = plan_of(WHEN)

    assert answer(plan, Scripted(numbered(*numbers))).spent.calls == calls
    assert (plan.cost.calls.lo, plan.cost.calls.hi) == (2, 3)


def test_a_condition_over_params_is_decided_beforehand() -> None:
    text = "params: {k: 3}\nmodels: {m: {backend: simulated}}\npipeline:\n  - generate: {model: m}\n"
    text += "  - when: {condition: $k > 2, then: [fuse: {model: m, n: $k}], else: [verify: {model: m}]}\n"
    plan = api.compile(Source("x.yaml", text), environ={})

    assert [node.op.name for node in plan.graph.nodes] == ["generate", "fuse"]
    other = api.compile(Source("x.yaml", text), overrides=["params.k=1"], environ={})
    assert [node.op.name for node in other.graph.nodes] == ["generate", "verify"]


# ---- each


def test_each_candidate_has_a_run_of_its_own() -> None:
    plan = plan_of("- generate: {model: m, n: 3}\n- each: {do: [fuse: {model: other, n: 2}]}", n=False)
    backend = Scripted(takes=1.0)
    result = answer(plan, backend)

    assert len(result.candidates) == 6
    assert result.seconds == 2.0
    assert (plan.cost.calls.lo, plan.cost.calls.hi, plan.depth.hi) == (9, 9, 2)


# ---- until


def until(condition: str, most: int, batch: int) -> str:
    body = "do: [generate: {model: m}, extract: {kind: number}]"
    return f"- until: {{condition: {condition}, max: {most}, batch: {batch}, {body}}}\n- vote"


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 16])
def test_neither_batch_nor_arrival_changes_what_is_enough(batch: int) -> None:
    """The shortest row of samples for which the condition holds: 3, 3, 5, 3, 3, 3, 3: P(6, 1) = .9648."""
    numbers = [3, 3, 5, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5]
    plan = plan_of(until("confidence >= 0.95", 16, batch))
    order: list[int] = []

    def reply(request: Request, i: int) -> str:
        return f"the answer is {numbers[sorted(order).index(request.seeds[i])]}"

    probe = Scripted()
    answer(plan_of("- generate: {model: m, n: 16}"), probe)
    order += [s for r in probe.requests for s in r.seeds]
    heard = Events()
    backend = Scripted(reply, takes=lambda r: 1.0 + (r.seeds[0] * 7 % 5) / 10)
    result = answer(plan, backend, listeners=[heard])

    assert result.answer == "3"
    assert [e["copies"] for e in heard.named("note") if e["note"] == "enough"] == [7]
    assert backend.in_flight == 0
    assert backend.completions <= -(-7 // batch) * batch
    assert set(seeds(backend)) <= set(order)  # copy i draws sample i of one step of many


def test_copies_beyond_the_end_are_cancelled() -> None:
    def takes(request: Request) -> float:
        return 1.0 if len(backend.requests) <= 2 else math.inf

    backend = Scripted(lambda r, i: "the answer is 4", takes=takes)
    result = answer(plan_of(until("count >= 2", 8, 8)), backend)

    assert (result.status, result.seconds) == ("ok", 1.0)
    assert (backend.completions, backend.cancelled, backend.in_flight) == (8, 6, 0)


# ---- race


RACE = """
- race:
    condition: verified >= 1
    branches:
      - [generate: {model: m}, verify: {model: m, reason: false, repair: false}]
      - [generate: {model: other}, verify: {model: other, reason: false, repair: false}]
"""


def judge(good: str) -> Any:
    def reply(request: Request, i: int) -> str:
        if request.schema is None:
            return good
        return '{"explanation": "", "verdict": "%s"}' % ("correct" if good == "good" else "incorrect")

    return reply


@pytest.mark.parametrize("slow", ["m", "other"])
def test_the_first_written_branch_that_passes_wins(slow: str) -> None:
    backends = {
        name: Scripted(judge(good), takes=5.0 if name == slow else 1.0)
        for name, good in (("m", "bad"), ("other", "good"))
    }
    result = answer(plan_of(RACE), backends)

    assert result.answer == "good"
    assert result.seconds == 10.0


def test_a_branch_that_can_no_longer_win_is_cancelled() -> None:
    backends = {"m": Scripted(judge("good"), takes=1.0), "other": Scripted(judge("good"), takes=math.inf)}
    result = answer(plan_of(RACE), backends)

    assert (result.answer, result.seconds) == ("good", 2.0)
    assert (backends["other"].cancelled, backends["other"].in_flight) == (1, 0)


def test_by_arrival_the_quicker_branch_wins() -> None:
    plan = plan_of(RACE.replace("condition", "by: arrival\n    condition"))
    backends = {"m": Scripted(judge("good"), takes=math.inf), "other": Scripted(judge("good"), takes=1.0)}
    result = answer(plan, backends)

    assert (result.status, result.seconds) == ("ok", 2.0)
    assert backends["m"].in_flight == 0


# ---- cascade


CASCADE = """
- cascade:
    models: [m, other]
    until: agreement == 1
    KEEP
    do: [generate: {model: $model, n: 2}, extract: {kind: number}]
"""


@pytest.mark.parametrize(("keep", "numbers"), [("keep: last", ["5", "6"]), ("keep: all", ["1", "2", "5", "6"])])
def test_the_next_model_is_asked_where_one_is_not_sure(keep: str, numbers: list[str]) -> None:
    plan = plan_of(CASCADE.replace("KEEP", keep))
    backends = {"m": Scripted(numbered(1, 2)), "other": Scripted(numbered(5, 6))}
    result = answer(plan, backends)

    assert [c.answer and c.answer.text for c in result.candidates] == numbers
    sure = {"m": Scripted(numbered(4, 4)), "other": Scripted(numbered(5, 6))}
    assert answer(plan, sure).answer == "4"
    assert sure["other"].requests == []
    assert (plan.cost.calls.lo, plan.cost.calls.hi) == (2, 4)


# ---- deadline and budget


def test_at_the_deadline_each_step_goes_on_with_what_it_has() -> None:
    plan = plan_of("- deadline: {seconds: 5, do: [generate: {model: m, n: 4}]}", n=False)
    order: list[int] = []

    def takes(request: Request) -> float:
        order.append(request.seeds[0])
        return 1.0 if len(order) <= 3 else math.inf

    backend = Scripted(takes=takes)
    result = answer(plan, backend)

    assert (result.status, len(result.candidates), result.seconds) == ("ok", 3, 5.0)
    assert (backend.cancelled, backend.in_flight) == (1, 0)


def test_a_block_that_gives_nothing_in_time_leaves_what_arrived() -> None:
    plan = plan_of("- generate: {model: m}\n- deadline: {seconds: 5, do: [fuse: {model: other}]}")
    backends = {"m": Scripted(lambda r, i: "draft"), "other": Scripted(takes=math.inf)}

    result = answer(plan, backends)

    assert (result.answer, result.status, result.seconds) == ("draft", "ok", 5.0)


def test_a_block_spends_no_more_than_its_budget() -> None:
    plan = plan_of("- budget: {calls: 3, do: [generate: {model: m, n: 8}]}", budget="calls: 100")
    backend = Scripted()
    result = answer(plan, backend)

    assert (result.status, len(result.candidates), backend.completions) == ("ok", 3, 3)
    assert plan.cost.calls.hi == 3


# ---- fold


def test_no_prompt_holds_more_than_a_window() -> None:
    plan = plan_of("- generate: {model: m, n: 10}\n- fold: {window: 4, do: [fuse: {model: other}]}")
    backends = {"m": Scripted(), "other": Scripted(lambda r, i: "fused")}
    result = answer(plan, backends)
    shown = [r.messages[-1].content.count("<candidate ") for r in backends["other"].requests]

    assert shown == [4, 4, 4]
    assert result.answer == "fused"
    assert (plan.cost.calls.lo, plan.cost.calls.hi, plan.depth.hi) == (13, 13, 4)


# ---- names and blocks


def test_a_later_step_reads_two_earlier_results() -> None:
    pipeline = """
- let:
    drafts: [generate: {model: m, n: 2}]
    fused: [drafts, fuse: {model: other}]
- [drafts, fused]
- rank: {model: m}
"""
    plan = plan_of(pipeline)
    answer(plan, Scripted())

    assert [str(node.inputs) for node in plan.graph.nodes] == ["()", "('generate',)", "('generate', 'fuse')"]


def test_a_block_reads_a_name_from_around_it() -> None:
    pipeline = """
- let: {drafts: [generate: {model: m, n: 2}]}
- drafts
- repeat: {times: 2, do: [[keep, drafts, fuse: {model: other}]]}
"""
    plan = plan_of(pipeline)
    backends = {"m": Scripted(lambda r, i: f"d{r.seeds[i] % 2}"), "other": Scripted(lambda r, i: "f")}
    texts = [c.text for c in answer(plan, backends).candidates]

    assert len(texts) == 8 == plan.graph.output_shape().size.hi
    assert texts == [*texts[:2], *texts[:2], "f", *texts[:2], "f"]


def test_nothing_gives_no_candidates() -> None:
    plan = plan_of("- [[nothing], generate: {model: m}]")

    assert len(answer(plan, Scripted()).candidates) == 1


# ---- abstentions


ABSTAIN = """
- generate: {model: m, n: 2}
- extract: {kind: number}
- when: {condition: agreement < 1, then: [abstain], else: [vote]}
"""


@pytest.mark.parametrize("later", ["vote", "rank: {model: m}", "fuse: {model: m}", "select", "score: {model: m}"])
def test_an_abstention_passes_through(later: str) -> None:
    before = "- extract: {kind: number}\n" if later == "vote" else ""
    plan = plan_of(f"{ABSTAIN}{before}- {later}")
    backend = Scripted(numbered(1, 2))
    result = answer(plan, backend)

    assert (result.answer, result.abstained, result.status) == ("I do not know.", True, "ok")
    assert backend.completions == 2
    assert result.as_json()["abstained"] is True


def test_an_abstention_never_wins_against_an_answer() -> None:
    pipeline = "- [[generate: {model: m}, abstain], generate: {model: other, n: 2}]\n"
    for later in ("extract: {kind: number}\n- vote", "select", "rank: {model: m}", "fuse: {model: m}"):
        result = answer(plan_of(f"{pipeline}- {later}"), Scripted(numbered(3)))
        assert (result.answer or "").endswith("3")
        assert not result.abstained


# ---- what conditions see


def answers(*keys: str) -> CandidateSet:
    return CandidateSet(tuple(Candidate((), answer=Answer(key, key)) for key in keys))


GOLDEN = [((1, 0), 0.75), ((3, 0), 0.9375), ((4, 0), 0.96875), ((5, 1), 0.9375), ((6, 1), 0.9648), ((7, 2), 0.9453)]
GOLDEN += [((8, 2), 0.9673)]


@pytest.mark.parametrize(("counts", "wanted"), GOLDEN)
def test_the_beta_rule_has_its_golden_numbers(counts: tuple[int, int], wanted: float) -> None:
    assert confidence(*counts) == pytest.approx(wanted, abs=5e-5)


def test_the_beta_rule_is_smooth_where_it_is_approximated() -> None:
    assert confidence(520, 479) == pytest.approx(confidence(521, 480), abs=2e-3)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("agreement", 0.5), ("margin", 0.25), ("entropy", 1.5), ("distinct", 3), ("count", 4), ("abstained", 0.0)],
)
def test_statistics(name: str, wanted: float) -> None:
    assert STATISTICS[name].of(answers("a", "b", "a", "c")) == pytest.approx(wanted)


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_of_nothing_are_numbers(name: str) -> None:
    assert math.isfinite(float(STATISTICS[name].of(CandidateSet())))


def test_spending_counts_what_came_from_the_journal(tmp_path: Path) -> None:
    """Else a run from the journal would go another way than the one that paid."""
    pipeline = "- repeat: {times: 9, until: spent.calls >= 6, do: [generate: {model: m, n: 2}]}"
    runs = [answer(plan_of(pipeline), Scripted(), journal=tmp_path / "j.sqlite") for _ in range(2)]

    assert [run.spent.calls for run in runs] == [6, 0]
    assert runs[0].candidates == runs[1].candidates


def test_what_is_left_is_of_the_nearest_budget() -> None:
    pipeline = """
- generate: {model: m, n: 3}
- budget:
    calls: 5
    do:
      - repeat: {times: 9, until: left.calls < 2, do: [generate: {model: m, n: 2}]}
"""
    backend = Scripted()
    answer(plan_of(pipeline, budget="calls: 100"), backend)

    assert backend.completions == 3 + 4


def test_what_no_budget_limits_can_not_be_left() -> None:
    with pytest.raises(SpecError, match=r"no budget limits calls here, so `left\.calls` is not known"):
        plan_of("- repeat: {times: 9, until: left.calls < 2, do: [generate: {model: m, n: 2}]}")


# ---- used specs


def test_a_used_spec_takes_its_params_and_models(tmp_path: Path) -> None:
    used = """
params: {writer: null, k: 2}
models: {own: {backend: simulated, model: own}}
pipeline:
  - fuse: {model: $writer, n: $k}
  - verify: {model: own}
"""
    main = """
models: {small: {backend: simulated, model: s}}
pipeline:
  - generate: {model: small, n: 3}
  - use: {spec: parts/used.yaml, with: {writer: small, k: 3}}
"""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "used.yaml").write_text(used, encoding="utf-8")
    (tmp_path / "main.yaml").write_text(main, encoding="utf-8")
    plan = api.compile(tmp_path / "main.yaml", environ={})

    assert [(n.op, n.model, str(n.shape.size)) for n in plan.nodes] == [
        ("generate", "small", "3"),
        ("fuse", "small", "3"),
        ("verify", "used.own", "1..3"),
    ]
    assert answer(plan, Scripted(judge("good"))).status == "ok"


def test_a_used_spec_keeps_within_its_budget(tmp_path: Path) -> None:
    (tmp_path / "used.yaml").write_text(
        "models: {m: {backend: simulated}}\nbudget: {calls: 2}\npipeline: [generate: {model: m, n: 5}]\n",
        encoding="utf-8",
    )
    (tmp_path / "main.yaml").write_text("pipeline: [use: used.yaml]\n", encoding="utf-8")
    plan = api.compile(tmp_path / "main.yaml", environ={})

    assert plan.cost.calls.hi == 2
    assert len(answer(plan, Scripted()).candidates) == 2


def test_specs_that_use_each_other_are_refused_with_the_chain(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"pipeline: [use: {other}.yaml]\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        api.compile(tmp_path / "a.yaml", environ={})

    [cycle] = caught.value.diagnostics
    names = [part.rsplit("/", 1)[-1] for part in cycle.headline.split(" → ")]
    assert (cycle.name, names) == ("use-cycle", ["a.yaml", "b.yaml", "c.yaml", "a.yaml"])


# ---- bounds


def test_loops_in_loops_are_bounded() -> None:
    inner = "generate: {model: m}"
    for _ in range(6):
        inner = f"repeat: {{times: 100, do: [{inner}]}}"
    with pytest.raises(SpecError, match="rounds of loops within loops"):
        plan_of(f"- {inner}")


def test_spend_is_an_amount() -> None:
    assert Spend(1, 2, 3) + Spend(1) == Spend(2, 2, 3)
