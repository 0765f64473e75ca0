"""think: thoughts are bounded from both sides, and only the answer is kept."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from archc.calls import Completion, Conversation, Failed, FailureKind, Finish, Message, Usage
from archc.ops.think import Think
from archc.values import CandidateSet
from tests.scripted import ScriptedContext, run

NOTHING = CandidateSet(())


def thinker(*thoughts: tuple[str, Finish, int], answer: str | Failed = "42"):  # type: ignore[no-untyped-def]
    """Has these thoughts one after the other, with how they end and their tokens, then gives the answer."""

    def reply(model: str, messages: Conversation, prompt: str, index: int) -> str | Completion | Failed:
        if prompt == "answer":
            return answer
        so_far = messages[-1].content
        text, finish, tokens = thoughts[sum(text in so_far for text, _, _ in thoughts)]
        return Completion(text, finish, Usage(completion=tokens))

    return reply


def heard(ctx: ScriptedContext) -> list[str]:
    """What of its replies the model found there."""
    assert all(asked.messages[-1].role == "assistant" for asked in ctx.asked)
    return [asked.text for asked in ctx.asked]


def test_an_end_that_comes_early_is_put_off_and_the_tokens_add_up() -> None:
    ctx = ScriptedContext("6*7?", thinker(("It is 41.", Finish.STOP, 10), (" No, 42.", Finish.EOS, 30)))
    after = run(Think(model="m", at_most=100, extend=1, cue="Answer: ", max_tokens=8), ctx, NOTHING)

    assert [c.text for c in after.candidates] == ["Answer: 42"]
    assert heard(ctx) == [
        "<think>\n",
        "<think>\nIt is 41.Wait",
        "<think>\nIt is 41.Wait No, 42.\n</think>\n\nAnswer: ",
    ]
    assert [asked.sampling.max_tokens for asked in ctx.asked] == [100, 90, 8]
    assert [asked.sampling.stop for asked in ctx.asked] == [("</think>",), ("</think>",), ()]
    assert ctx.asked[0].messages[0] == Message("user", "6*7?")


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.STOP])
def test_thoughts_that_used_up_their_tokens_are_closed(finish: Finish) -> None:
    ctx = ScriptedContext("6*7?", thinker(("On and on", finish, 50)))
    run(Think(model="m", at_most=50, extend=3), ctx, NOTHING)

    assert heard(ctx) == ["<think>\n", "<think>\nOn and on\n</think>\n\n"]


def test_without_thoughts_it_reads_that_it_has_thought() -> None:
    ctx = ScriptedContext("6*7?", thinker())
    after = run(Think(model="m", n=2, at_most=0, extend=2), ctx, NOTHING)

    assert heard(ctx) == ["<think>\nOkay, I think I have finished thinking.\n</think>\n\n"] * 2
    assert [asked.index for asked in ctx.asked] == [0, 1]
    assert len(after) == 2


def test_a_call_that_fails_costs_one_answer_or_one_extension() -> None:
    busy = Failed(FailureKind.OVERLOAD, "busy")

    def reply(model: str, messages: Conversation, prompt: str, index: int) -> str | Completion | Failed:
        if prompt == "think" and (index == 0 or "Wait" in messages[-1].content):
            return busy
        return busy if (prompt, index) == ("answer", 1) else f"{prompt} {index}"

    ctx = ScriptedContext("6*7?", reply)
    after = run(Think(model="m", n=3, extend=1), ctx, NOTHING)

    assert [c.text for c in after.candidates] == ["answer 2"]
    assert list(after.failed) == [busy, busy]
    assert [note["reason"] for event, note in ctx.notes if event == "degraded"] == ["busy", "busy"]
    assert "<think>\nthink 2Wait\n</think>\n\n" in heard(ctx)


def test_thoughts_must_be_closed_by_something() -> None:
    with pytest.raises(ValidationError):
        Think(model="m", end="\n")
