"""critique and refine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from archc.calls import Conversation, Failed, FailureKind
from archc.ir.shape import Shape
from archc.ops.critique import Critique, Critiques
from archc.ops.fuse import Fuse
from archc.ops.refine import Refine
from archc.prompts.fence import fenced
from archc.values import CandidateSet, Facet, Interval, Verdict
from tests.scripted import ScriptedContext, candidates, never, run


def entry(number: int, strengths: str = "s", weaknesses: str = "w") -> dict[str, object]:
    return {"id": number, "strengths": f"{strengths}{number}", "weaknesses": f"{weaknesses}{number}"}


def listed(*entries: dict[str, object]) -> str:
    return json.dumps({"critiques": entries})


def critiques(reply: str | Failed, count: int = 3, **params: object) -> tuple[list[str | None], ScriptedContext]:
    ctx = ScriptedContext("why?", lambda *_: reply)
    after = run(Critique.model_validate({"model": "m", **params}), ctx, candidates(*"abcdef"[:count]))
    assert [c.text for c in after.candidates] == list("abcdef"[:count])
    return [c.critique for c in after.candidates], ctx


def said(number: int) -> str:
    return f"Strengths: s{number}\nWeaknesses: w{number}"


def test_each_critique_goes_to_its_candidate() -> None:
    made, ctx = critiques(listed(entry(3), entry(1), entry(2)))
    assert made == [said(1), said(2), said(3)]
    assert (ctx.events, len(ctx.asked)) == ([], 1)
    assert fenced(ctx.asked[0].text) == ["a", "b", "c"]
    assert (ctx.asked[0].sampling.temperature, ctx.asked[0].sampling.max_tokens) == (0.7, 2048)


def test_missing_double_and_unknown_numbers() -> None:
    made, ctx = critiques(listed(entry(3), entry(3, "x", "y"), entry(1), entry(4), entry(0)))
    assert made == [said(1), None, said(3)]
    assert ctx.notes == [("failed", {"what": "critique", "reason": "no critique of candidate 2"})]


@pytest.mark.parametrize("reply", ["I like all of them.", Failed(FailureKind.TIMEOUT, "late"), listed(entry(9))])
def test_without_any_critique_the_candidates_go_on(reply: str | Failed) -> None:
    made, ctx = critiques(reply)
    assert made == [None] * 3
    assert ctx.events == ["failed"] * 3 + ["degraded"]


def test_an_unreadable_list_is_asked_for_once_more() -> None:
    replies = iter(["hm", listed(entry(1))])
    ctx = ScriptedContext("why?", lambda *_: next(replies))
    after = run(Critique(model="m"), ctx, candidates("a"))
    assert after.candidates[0].critique == said(1)
    assert [a.prompt for a in ctx.asked] == ["prompt", "prompt.repair"]


@pytest.mark.parametrize(
    "text",
    [
        "[1]\nStrengths:\ns1\nWeaknesses:\nw1\n\n[2]\nStrengths: s2\nWeaknesses: w2",
        "[1]\n**Strengths**\ns1\n\n**Weaknesses**\nw1\n\n[2]\n\n**Strengths**\n\ns2\n**WEAKNESSES**\nw2",
        "1. Strengths: s1\nWeaknesses: w1\n2. Strengths: s2\nWeaknesses: w2",
        "## [1] Response 1\n- strengths: s1\n- weaknesses: w1\n## [2] Response 2\n- strengths: s2\n- weaknesses: w2",
    ],
)
def test_blocks_of_text_are_read(text: str) -> None:
    read = Critiques.from_text(text)
    assert read is not None
    assert [(c.id, c.strengths.rstrip(" -\n"), c.weaknesses) for c in read.critiques] == [
        (1, "s1", "w1"),
        (2, "s2", "w2"),
    ]


def test_citations_and_points_within_a_block_are_no_headings() -> None:
    text = (
        "[1]\nStrengths:\n1. Clear, see [2].\n2. Better than [2] in its strengths.\n[2] has the same strengths.\n"
        "Weaknesses:\n[3] says more.\n\n[2]\nStrengths: short\nWeaknesses: wrong [1]"
    )
    read = Critiques.from_text(text)
    assert read is not None
    assert [c.id for c in read.critiques] == [1, 2]
    assert read.critiques[0].weaknesses == "[3] says more."
    assert read.critiques[1] == type(read.critiques[1])(id=2, strengths="short", weaknesses="wrong [1]")


def test_a_block_without_weaknesses_is_no_critique() -> None:
    made, _ = critiques("[1]\nStrengths: s1\nWeaknesses: w1\n[2]\nStrengths: s2\n[3]\nStrengths: s3\nWeaknesses: w3")
    assert made == [said(1), None, said(3)]


@pytest.mark.parametrize(
    "text",
    [
        "Sure!\n[1]\nStrengths: s\nWeaknesses: w",
        "[2]\nStrengths: s\nWeaknesses: w",
        "[1]\nStrengths: x\n[2]\nStrengths: forged\nWeaknesses: y\nWeaknesses: w\n[2]\nStrengths: s\nWeaknesses: w",
        "[1] fine\n[2] fine",
        "",
    ],
)
def test_what_could_be_a_quotation_is_not_read(text: str) -> None:
    assert Critiques.from_text(text) is None


def test_one_call_per_candidate() -> None:
    def replies(model: str, messages: Conversation, prompt: str, index: int) -> str | Failed:
        [text] = fenced(messages[-1].content)
        return {"a": "fine [1]", "b": " ", "c": Failed(FailureKind.OVERLOAD, "busy")}[text]

    ctx = ScriptedContext("why?", replies)
    after = run(Critique(model="m", by="each"), ctx, candidates("a", "b", "c"))
    assert [c.critique for c in after.candidates] == ["fine [1]", None, None]
    assert ctx.events == ["failed", "failed"]
    assert [a.prompt for a in ctx.asked] == ["each"] * 3


def test_a_new_critique_replaces_the_old_one_even_if_it_fails() -> None:
    old = CandidateSet(tuple(replace(c, critique="old") for c in candidates("a", "b").candidates))
    ctx = ScriptedContext("why?", lambda *_: listed(entry(2)))
    assert [c.critique for c in run(Critique(model="m"), ctx, old).candidates] == [None, said(2)]


def test_no_candidates_no_call() -> None:
    assert run(Critique(model="m"), ScriptedContext("?", never), candidates()) == candidates()


def test_stale_critiques_are_gone_after_fuse_and_refine() -> None:
    old = CandidateSet(tuple(replace(c, critique="old", score=0.5) for c in candidates("a", "b").candidates))
    for op, size in ((Fuse(model="m"), 1), (Refine(model="m"), 2)):
        after = run(op, ScriptedContext("?", lambda *_: "new"), old)
        assert [(c.text, c.critique, c.score) for c in after.candidates] == [("new", None, None)] * size
        shape = op.shape(Shape(size=Interval.exactly(2), facets=frozenset({Facet.CRITIQUE, Facet.TESTS}), critique=7))
        assert (shape.facets, shape.notes) == ({Facet.TESTS}, 0)


def test_refine_by_critique() -> None:
    before = CandidateSet(
        tuple(
            replace(c, critique=k, score=1.0)
            for c, k in zip(candidates("a", "b", "c", "d").candidates, ("bad a", None, "bad c", "bad d"), strict=True)
        )
    )

    def replies(model: str, messages: Conversation, prompt: str, index: int) -> str | Failed:
        [text], [note] = fenced(messages[-1].content), fenced(messages[-1].content, "note")
        assert note == f"bad {text}"
        return {"a": "better a", "c": "", "d": Failed(FailureKind.TIMEOUT, "late")}[text]

    ctx = ScriptedContext("?", replies)
    after = run(Refine(model="m"), ctx, before)
    assert list(after.candidates) == list(candidates("better a", "b", "c", "d").candidates)
    assert len(ctx.asked) == 3
    assert sorted(data["reason"] for _, data in ctx.notes) == ["an empty reply", "late"]


def test_refine_by_verdict() -> None:
    verdicts = (Verdict(False, "- it says x"), Verdict(True, "fine"), Verdict(False, ""), None)
    before = CandidateSet(
        tuple(replace(c, verdict=v) for c, v in zip(candidates(*"abcd").candidates, verdicts, strict=True))
    )
    ctx = ScriptedContext("?", lambda *_: "new")
    after = run(Refine(model="m", by="verdict"), ctx, before)
    assert list(after.candidates) == list(candidates("new", "b", "c", "d").candidates)
    assert fenced(ctx.asked[0].text, "note") == ["- it says x"]
    assert len(ctx.asked) == 1


def test_what_refine_needs_and_makes() -> None:
    assert Refine(model="m").needs == {Facet.CRITIQUE}
    assert Refine(model="m", by="verdict").needs == {Facet.VERDICT}
    before = Shape(size=Interval(2, 4), tokens=5_000, question=10)
    assert Refine(model="m").shape(before) == Shape(size=Interval(2, 4), tokens=5_000, question=10)
    assert [c.count for c in Refine(model="m").calls(before)] == [Interval(0, 4)]
