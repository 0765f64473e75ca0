"""Candidates flow: samples end when a vote is settled, and steps begin with a candidate before all are there."""

from __future__ import annotations

import json
import random

import pytest

from archc import api
from archc.backends._world import Judge, Scene
from archc.calls import CallError, FailureKind, Request
from archc.planning.plan import Plan
from archc.runtime.run import Run
from archc.source import Source
from tests.fakes import Answer, Reply, Scripted, answer, plan_of, with_n

VOTE = "- generate: {model: m, n: 32, batch: 4}\n- extract: {kind: number}\n- vote"


def written(plan: Plan) -> Plan:
    """The same without passes."""
    return api.compile(plan.graph.source, skip=[step.name for step in plan.steps])


def guesses(right: float) -> Reply:
    """Answers that are right so often, and else one of three wrong ones, or none at all; judges that see which."""

    def reply(request: Request, i: int) -> str:
        rng = random.Random(f"{request.seeds[i]}:{request.purpose.question}")
        is_right = "The answer is 42" in request.messages[-1].content
        if request.schema is not None and '"score"' in request.schema:
            return json.dumps({"explanation": "", "score": 10 if is_right else rng.randrange(1, 10)})
        if request.schema is not None and '"verdict"' in request.schema:
            return json.dumps({"explanation": "", "verdict": "correct" if is_right else "incorrect"})
        if request.schema is not None:
            return Judge(request.schema, Scene.of(request, {}), 0.9, rng).write()
        said = "42" if rng.random() < right else rng.choice(["1", "2", "3", "unknown"])
        return f"{rng.choices('abcdefgh', k=8)}: The answer is {said}."

    return reply


def both(pipeline: str, reply: Reply, items: int = 40) -> tuple[int, int]:
    """Calls without and with passes, which come to the same for every question."""
    plan = plan_of(pipeline)
    calls = [0, 0]
    for item in range(items):
        runs = [answer(one, Scripted(reply), f"question {item}") for one in (written(plan), plan)]
        assert runs[1].candidates == runs[0].candidates
        assert runs[1].digest == runs[0].digest
        for which, run in enumerate(runs):
            calls[which] += run.spent.calls
    return calls[0], calls[1]


def test_a_vote_that_is_settled_saves_the_rest_of_the_samples() -> None:
    every, drawn = both(VOTE, guesses(0.9))

    assert every == 40 * 32
    assert drawn <= 0.65 * every


@pytest.mark.parametrize("ties", ["first", "random", "shortest"])
def test_a_close_vote_comes_to_the_same_with_every_rule_for_ties(ties: str) -> None:
    every, drawn = both(VOTE.replace("vote", f"vote: {{ties: {ties}, min_valid: 3}}"), guesses(0.3))

    assert drawn <= every


def test_weighed_votes_come_to_the_same() -> None:
    every, drawn = both(VOTE.replace("- vote", "- score: {model: other}\n- vote: {by: score}"), guesses(0.95))

    assert drawn < 0.9 * every


def test_samples_that_fail_have_no_vote() -> None:
    def reply(request: Request, i: int) -> Answer:
        failing = request.seeds[i] % 3 == 0
        return CallError(FailureKind.BAD_REQUEST, "no") if failing else guesses(0.9)(request, i)

    plan = with_n(plan_of(VOTE), False)
    runs = [answer(one, Scripted(reply)) for one in (with_n(written(plan), False), plan)]

    assert runs[0].candidates == runs[1].candidates
    assert runs[1].nodes["generate"].calls < runs[0].nodes["generate"].calls


def test_samples_that_something_else_reads_are_all_drawn() -> None:
    spec = (
        "models: {m: {backend: simulated, model: x}}\npipeline:\n"
        "  - let: {drafts: [generate: {model: m, n: 32, batch: 4}, extract: {kind: number}]}\n"
        "  - drafts\n"
        "  - when: {condition: agreement < 0.5, then: [fuse: {model: m}], else: [vote]}\n"
    )
    plan = api.compile(Source("when.yaml", spec))

    assert answer(plan, Scripted(guesses(0.95))).nodes["generate"].calls == 32


def test_a_condition_on_what_was_spent_sees_all_of_it() -> None:
    pipeline = VOTE + "\n- when: {condition: spent.calls > 20, then: [critique: {model: m}, fuse: {model: m}]}"
    every, drawn = both(pipeline, guesses(0.95), items=3)

    assert drawn == every


def test_drawing_ends_when_enough_are_verified() -> None:
    every, drawn = both("- generate: {model: m, n: 12, batch: 3}\n- verify: {model: other, first_k: 1}", guesses(0.8))

    assert drawn < 0.6 * every


def test_fewer_than_the_fewest_are_never_enough() -> None:
    pipeline = "- generate: {model: m, n: 12, batch: 3, min_valid: 7}\n- verify: {model: other, first_k: 1}"
    run = answer(plan_of(pipeline), Scripted(guesses(0.9)))

    assert run.nodes["generate"].calls == 9


# ---- streaming

SLOW = {0: 5.0, 1: 1.0, 2: 3.0, 3: 2.0}
"""Seconds by the order in which samples are sent."""


def paced(plan: Plan, judging: float) -> tuple[Run, Scripted, Scripted]:
    drafts: list[Request] = []

    def takes(request: Request) -> float:
        drafts.append(request)
        return SLOW[len(drafts) - 1]

    makers, judges = Scripted(guesses(0.5), takes), Scripted(guesses(0.5), judging)
    return answer(with_n(plan, False), {"m": makers, "other": judges}), makers, judges


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ("- score: {model: other}", 5.0 + 1.0),
        ("- critique: {model: other, by: each}\n- refine: {model: other}", 5.0 + 2.0),
        ("- verify: {model: other}", 5.0 + 2.0),
        ("- critique: {model: other, by: each}\n- fuse: {model: other}", 5.0 + 2.0),
    ],
)
def test_a_step_begins_with_each_candidate_as_soon_as_it_is_there(steps: str, seconds: float) -> None:
    run, _, judges = paced(plan_of(f"- generate: {{model: m, n: 4}}\n{steps}"), 1.0)

    assert judges.sent[0].at == 1.0
    assert run.seconds == seconds


def test_two_steps_on_the_quick_candidates_are_done_before_the_slow_one_is_there() -> None:
    _, _, judges = paced(
        plan_of("- generate: {model: m, n: 4}\n- critique: {model: other, by: each}\n- refine: {model: other}"), 1.0
    )

    assert sorted(sent.at for sent in judges.sent) == [1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0]


def test_the_order_of_arrival_changes_nothing() -> None:
    pipeline = "- generate: {model: m, n: 4}\n- critique: {model: other, by: each}\n- verify: {model: other}"
    plan = with_n(plan_of(pipeline), False)

    assert (
        paced(plan, 1.0)[0].candidates
        == answer(plan, {"m": Scripted(guesses(0.5)), "other": Scripted(guesses(0.5))}).candidates
    )


def test_rounds_of_first_k_begin_when_their_candidates_are_there() -> None:
    pipeline = "- generate: {model: m, n: 4}\n- verify: {model: other, first_k: 1, reason: false}"
    drafts: list[Request] = []

    def takes(request: Request) -> float:
        drafts.append(request)
        return 1.0 + len(drafts)

    judges = Scripted(guesses(0.5), 0.5)
    answer(with_n(plan_of(pipeline), False), {"m": Scripted(guesses(0.0), takes), "other": judges})

    assert judges.sent[0].at == 2.0


def test_where_a_budget_may_end_candidates_wait_for_each_other() -> None:
    """Else it would depend on who is quick which calls it pays."""
    pipeline = "- generate: {model: m, n: 4}\n- score: {model: other}"
    _, _, judges = paced(plan_of(pipeline, budget="calls: 6"), 1.0)

    assert judges.sent[0].at == 5.0


def test_an_ample_budget_holds_nothing_up() -> None:
    pipeline = "- generate: {model: m, n: 4}\n- score: {model: other}"
    _, _, judges = paced(plan_of(pipeline, budget="calls: 60"), 1.0)

    assert judges.sent[0].at == 1.0


def test_tests_are_written_while_drafts_are() -> None:
    plan = plan_of("- generate: {model: m, n: 4}\n- write_tests: {model: other}\n- evaluate: {model: other}")

    assert answer(plan, Scripted(guesses(0.5), 1.0)).seconds == 2.0
    assert answer(written(plan), Scripted(guesses(0.5), 1.0)).seconds == 3.0


def test_without_a_draft_the_tests_are_no_answer() -> None:
    def reply(request: Request, i: int) -> Answer:
        return CallError(FailureKind.AUTH, "no key") if request.purpose.op == "generate" else guesses(0.5)(request, i)

    plan = plan_of("- generate: {model: m, n: 4}\n- write_tests: {model: other}\n- evaluate: {model: other}")
    runs = [answer(one, Scripted(reply)) for one in (plan, written(plan))]

    assert runs[0].error == runs[1].error
    assert runs[0].status == "failed"
