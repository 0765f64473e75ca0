"""Settled: once an op says that what is to come changes nothing, nothing that comes does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from archc.ops.evaluate import Evaluate
from archc.ops.verify import Verify
from archc.ops.vote import Vote
from archc.values import Answer, Candidate, CandidateSet, Verdict
from tests.scripted import ScriptedContext, never, run

SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
"""Scores and probabilities that are often equal."""


@st.composite
def answered(draw: st.DrawFn) -> Candidate:
    said = draw(st.sampled_from(["1", "1", "1", "2", "3", None]))
    text = "x" * draw(st.integers(1, 9))
    answer = Answer(said, said) if said else None
    logprob = draw(st.sampled_from([None, 0.0, -0.5, -3.0]))
    return replace(Candidate.of(text), answer=answer, score=draw(SHARES), logprob=logprob)


VOTES = st.builds(
    Vote,
    by=st.sampled_from(["majority", "majority", "score", "logprob"]),
    ties=st.sampled_from(["first", "score", "logprob", "shortest", "random"]),
    min_valid=st.integers(1, 4),
)


@settings(max_examples=600, deadline=None)
@given(VOTES, st.lists(answered(), min_size=1, max_size=12), st.data())
def test_a_settled_vote_stays_as_it_is(vote: Vote, every: list[Candidate], data: Any) -> None:
    seen = every[: data.draw(st.integers(0, len(every)))]
    later = data.draw(st.lists(st.sampled_from(every), max_size=len(every) - len(seen)))

    if vote.settled(seen, len(every) - len(seen)) and seen:
        now, then = (run(vote, ScriptedContext("?", never), CandidateSet(tuple(s))) for s in (seen, [*seen, *later]))
        assert now == then
        assert vote.settled([*seen, *later], len(every) - len(seen) - len(later))
        least = vote.settles(len(every), bounded=True)
        assert len(seen) == len(every) or (least is not None and len(seen) >= least)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([Verify(model="m", first_k=2), Evaluate(model="m", policy="first_k", k=2)]),
    st.lists(st.booleans(), min_size=2, max_size=8),
    st.data(),
)
def test_the_first_that_passed_stay_the_first(op: Verify | Evaluate, passed: list[bool], data: Any) -> None:
    made = [replace(Candidate.of(str(i)), verdict=Verdict(ok), score=float(ok)) for i, ok in enumerate(passed)]
    seen = made[: data.draw(st.integers(0, len(made)))]

    if op.settled(seen, len(made) - len(seen)):
        before = CandidateSet(tuple(made), tests=("a test",))
        some, all_ = (op.gathered(ScriptedContext("?", never), judged, before) for judged in (seen, made))
        assert some == all_
