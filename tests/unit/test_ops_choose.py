"""vote, select and score: choosing among answers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archc.calls import Conversation, Failed, FailureKind
from archc.ir.shape import Shape
from archc.ops.score import Score
from archc.ops.select import Select
from archc.ops.vote import Vote
from archc.values import Answer, Candidate, CandidateSet, Facet, Interval, Verdict
from archc.vectors import cosine, packed, unpacked
from tests.scripted import ScriptedContext, candidates, never, run


def voter(key: str | None, score: float | None = None, logprob: float | None = None, text: str = "") -> Candidate:
    made = Candidate.of(text or f"says {key}")
    return replace(made, answer=Answer(key, key) if key else None, score=score, logprob=logprob)


def vote(op: Vote, *voters: Candidate) -> tuple[int, ScriptedContext]:
    """The index of the winner."""
    ctx = ScriptedContext("?", never)
    after = run(op, ctx, CandidateSet(voters))
    assert len(after) == 1
    return [v is after.candidates[0] for v in voters].index(True), ctx


def test_majority_keeps_the_first_of_the_largest_group() -> None:
    winner, ctx = vote(Vote(), voter("1"), voter("2", score=0.5), voter("2"), voter("3"))
    assert winner == 1
    assert ctx.notes == [("vote", {"histogram": {"1": 1.0, "2": 2.0, "3": 1.0}, "share": 0.5})]


def test_answers_without_a_find_do_not_vote() -> None:
    winner, ctx = vote(Vote(), voter(None), voter(None), voter(None), voter("2"))
    assert winner == 3
    assert ctx.notes == [("vote", {"histogram": {"2": 1.0}, "share": 1.0})]


def test_too_few_votes_keep_the_first_answer() -> None:
    for op, voters in ((Vote(), [voter(None), voter(None)]), (Vote(min_valid=2), [voter(None), voter("1")])):
        winner, ctx = vote(op, *voters)
        assert winner == 0
        assert ctx.events == ["degraded"]


def test_scores_are_summed_not_averaged() -> None:
    winner, ctx = vote(Vote(by="score"), voter("1", 0.9), voter("2", 0.5), voter("2", 0.6), voter("2", None))
    assert winner == 2
    assert ctx.notes[0][1]["histogram"] == {"1": 0.9, "2": 1.1}
    assert ctx.notes[0][1]["share"] == pytest.approx(0.55)


def test_negative_scores_are_moved_to_between_0_and_1() -> None:
    winner, ctx = vote(Vote(by="score"), voter("1", -3.0), voter("2", -1.0), voter("1", -2.5), voter("3", None))
    assert winner == 1
    assert ctx.notes[0][1]["histogram"] == {"1": 0.5 / 2.001, "2": 2 / 2.001, "3": 0.0}


def test_logprob_weighs_by_the_mean_token_probability() -> None:
    winner, ctx = vote(Vote(by="logprob"), voter("1", logprob=-0.1), voter("2", logprob=-1), voter("2", logprob=-0.5))
    assert winner == 2
    assert ctx.notes[0][1]["histogram"] == {"1": math.exp(-0.1), "2": math.fsum((math.exp(-1), math.exp(-0.5)))}


@pytest.mark.parametrize(
    ("ties", "winner"), [("first", 0), ("score", 1), ("logprob", 2), ("shortest", 3), ("random", 4)]
)
def test_ties(ties: str, winner: int) -> None:
    voters = [
        voter("1", 0.1, -3.0, "a long text"),
        voter("2", 0.9, -2.0, "a long text"),
        voter("3", 0.5, -1.0, "a long text"),
        voter("4", None, None, "short"),
        voter("5", 0.2, -2.0, "a long text"),
    ]
    assert vote(Vote.model_validate({"ties": ties}), *voters)[0] == winner


def test_a_vote_of_nobody_is_nobody() -> None:
    ctx = ScriptedContext("?", never)
    assert len(run(Vote(), ctx, candidates())) == 0
    assert ctx.events == ["degraded"]


def test_what_votes_need() -> None:
    assert Vote().needs == {Facet.ANSWER}
    assert Vote(by="score", ties="logprob").needs == {Facet.ANSWER, Facet.SCORE, Facet.LOGPROB}
    shape = Vote().shape(Shape(size=Interval(2, 8), facets=frozenset({Facet.ANSWER})))
    assert (shape.size, shape.facets) == (Interval.exactly(1), {Facet.ANSWER})


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=12))
def test_the_winner_is_a_mode_and_the_earliest_of_them(keys: list[str | None]) -> None:
    winner, _ = vote(Vote(), *(voter(key) for key in keys))
    valid = [k for k in keys if k]
    counts = {key: valid.count(key) for key in valid}
    modes = [k for k in counts if counts[k] == max(counts.values())]
    assert keys[winner] == (modes[0] if modes else keys[0])
    assert winner == keys.index(keys[winner])


def some() -> CandidateSet:
    """Five candidates that differ in everything."""
    made = candidates("one two three four", "one two three", "xx", "one two three five six", "two three one")
    scores, logprobs = (0.2, 0.9, None, 0.9, 0.1), (-1.0, None, -0.5, -2.0, -0.5)
    verdicts = (
        Verdict(False, "", 1, 3),
        None,
        Verdict(True, "", 2, 3),
        Verdict(True, "", 1, 1),
        Verdict(False, "", 0, 0),
    )
    return made.with_candidates(
        replace(c, score=s, logprob=p, verdict=v)
        for c, s, p, v in zip(made.candidates, scores, logprobs, verdicts, strict=True)
    )


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("first", [0, 1, 2, 3, 4]),
        ("score", [1, 3, 0, 4, 2]),
        ("logprob", [2, 4, 0, 3, 1]),
        ("verdict", [3, 2, 0, 4, 1]),
        ("shortest", [2, 1, 4, 0, 3]),
        ("longest", [3, 0, 1, 4, 2]),
        ("random", [4, 3, 2, 1, 0]),
        ("medoid", [1, 4, 0, 3, 2]),
    ],
)
def test_select(by: str, order: list[int]) -> None:
    before = some()
    for k in (1, 3, 9):
        after = run(Select.model_validate({"by": by, "k": k}), ScriptedContext("?", never), before)
        assert [before.candidates.index(c) for c in after.candidates] == order[:k]


def test_what_select_needs() -> None:
    assert [Select(by=by).needs for by in ("first", "medoid")] == [frozenset(), frozenset()]
    assert Select(by="verdict").needs == {Facet.VERDICT}
    assert Select(k=3).shape(Shape(size=Interval(2, 8))).size == Interval(2, 3)


def test_medoid_of_one_and_of_empty_texts() -> None:
    assert len(run(Select(by="medoid"), ScriptedContext("?", never), candidates("x"))) == 1
    assert run(Select(by="medoid"), ScriptedContext("?", never), candidates("", "", "x")).candidates[0].text == ""


def test_medoids_by_vectors_ask_once_for_each_and_pass_over_what_fails() -> None:
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.6, 0.8], "d": [-1.0, 0.1]}

    def reply(model: str, messages: Conversation, prompt: str, index: int) -> str | Failed:
        text = messages[-1].content
        return packed(vectors[text]) if text in vectors else {"x": Failed(FailureKind.OVERLOAD, "busy")}.get(text, "?!")

    ctx = ScriptedContext("?", reply)
    after = run(Select(by="medoid", model="e", k=6), ctx, candidates("x", "a", "b", "c", "d", "y", "a"))
    assert [c.text for c in after.candidates] == ["c", "b", "a", "a", "d", "x"]
    assert len(ctx.asked) == 7
    assert [note["reason"][:9] for event, note in ctx.notes if event == "failed"] == ["busy", "no vector"]
    idle = ScriptedContext("?", never)
    assert len(run(Select(by="medoid", model="e", k=2), idle, candidates("a", "b"))) == 2
    with pytest.raises(ValidationError, match="only `by: medoid` takes a `model`"):
        Select(by="score", model="e")


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=9))
def test_vectors_are_text_and_back(values: list[float]) -> None:
    assert list(unpacked(packed(values))) == values
    for wrong in ("?!", "AAAA", "", packed([1.0])[:-1]):
        with pytest.raises(ValueError, match=r"no vector|multiple"):
            unpacked(wrong)


def test_cosines() -> None:
    assert cosine([3.0, 4.0], [6.0, 8.0]) == pytest.approx(1.0)
    assert cosine([1.0, 0.0], [-2.0, 0.0]) == -1.0
    assert cosine([0.0, 0.0], [1.0, 0.0]) == cosine([1.0], [1.0, 0.0]) == 0.0


def test_score_takes_the_mean_of_what_can_be_read() -> None:
    replies = ['{"explanation": "", "score": 10}', "5/10", '{"explanation": "", "score": 11}']
    ctx = ScriptedContext("?", lambda model, messages, prompt, index: replies[index])
    after = run(Score(model="judge", votes=3, repair=False), ctx, candidates("x"))
    assert after.candidates[0].score == (1 + 4 / 9) / 2
    assert ctx.events == ["failed"]


def test_an_unreadable_score_is_none_and_comes_last() -> None:
    def replies(model: str, messages: object, prompt: str, index: int) -> str | Failed:
        text = str(messages)
        return "1" if "BAD" in text else "I like it. 10/10" if "ODD" in text else Failed(FailureKind.TIMEOUT, "late")

    ctx = ScriptedContext("?", replies)
    after = run(Score(model="judge"), ctx, candidates("ODD", "LATE", "BAD"))
    assert [c.score for c in after.candidates] == [None, None, 0.0]
    assert ctx.events == ["failed", "failed"]
    assert [a.prompt for a in ctx.asked] == ["prompt", "prompt", "prompt", "prompt.repair"]
    assert run(Select(by="score"), ctx, after).candidates[0].text == "BAD"


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("7", 7),
        ("7/10", 7),
        ("10 / 10.", 10),
        ("Score: 3", 3),
        ("0", None),
        ("11", None),
        ("7 or 8", None),
        ("7.5", None),
    ],
)
def test_a_bare_number_is_a_score(text: str, score: int | None) -> None:
    ctx = ScriptedContext("?", lambda *_: text)
    after = run(Score(model="judge", repair=False), ctx, candidates("x"))
    assert after.candidates[0].score == (None if score is None else (score - 1) / 9)


def test_score_by_logprob_asks_nobody() -> None:
    before = CandidateSet((voter("1", logprob=-0.5), voter("1")))
    after = run(Score(by="logprob"), ScriptedContext("?", never), before)
    assert [c.score for c in after.candidates] == [math.exp(-0.5), None]
    op = Score(by="logprob")
    assert (op.needs, op.models, op.calls(Shape()), op.depth(Shape())) == ({Facet.LOGPROB}, {}, (), Interval(0, 0))


def test_a_judge_needs_a_model() -> None:
    with pytest.raises(ValidationError, match="needs a `model`"):
        Score()
