"""Told: what events say of each question, from a trace or from a run that the journal tells again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archc import api
from archc.calls import NOTHING, Conversation, Spend
from archc.diagnostics import RunError
from archc.ir.graph import Graph
from archc.runtime.run import Run
from archc.runtime.trace import Event


@dataclass
class Step:
    """One run of a node: what it asked, noted, and gave."""

    node: str
    path: str
    """The turns of the loops around it."""
    asks: dict[tuple[str, str], Spend] = field(default_factory=lambda: defaultdict(lambda: NOTHING))
    """By prompt and model, as though nothing had been in the journal."""
    notes: list[str] = field(default_factory=list)
    candidates: list[Mapping[str, Any]] | None = None
    """What left it; None where that is not told."""
    tests: list[str] = field(default_factory=list)


@dataclass
class Question:
    """One question, and all that was done for it."""

    id: str
    text: str = ""
    status: str = ""
    answer: str | None = None
    error: str = ""
    steps: dict[tuple[str, str], Step] = field(default_factory=dict)

    @property
    def spent(self) -> Spend:
        """What all of it costs."""
        return sum((spend for step in self.steps.values() for spend in step.asks.values()), NOTHING)

    def step(self, event: Event) -> Step:
        """The one that an event is about."""
        where = str(event.get("node", "")), str(event.get("path", ""))
        return self.steps.setdefault(where, Step(*where))


class Telling:
    """A listener that puts events together, by question."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if "query" not in event:
            return
        question = self.questions.setdefault(event["query"], Question(event["query"]))
        match event["event"]:
            case "answer":
                answer = event.get("answer")
                question.status, question.answer = event["status"], None if answer is None else str(answer)
            case "node":
                question.step(event)
            case "call" | "cached":
                _ask(question, event)
            case "left":
                step = question.step(event)
                step.candidates, step.tests = event["candidates"], event["tests"]
            case "note" | "refused" | "spared":
                question.step(event).notes.append(_said(event))


def _ask(question: Question, event: Event) -> None:
    tokens = int(event.get("prompt_tokens", 0)), int(event.get("completion_tokens", 0))
    spent = Spend(int(event.get("calls", 0)), *tokens, float(event.get("usd", 0.0)))
    step = question.step(event)
    step.asks[str(event.get("prompt", "")), str(event.get("model", ""))] += spent
    if event.get("outcome", "ok") != "ok":
        step.notes.append(f"a call failed: {event['outcome']} {event.get('reason', '')}".strip())


_WHERE = {"event", "at", "query", "node", "path", "model", "note"}


def _said(event: Event) -> str:
    """A note in words."""
    more = ", ".join(f"{key} {value}" for key, value in event.items() if key not in _WHERE)
    return f"{event.get('note', event['event'])}: {more}" if more else str(event.get("note", event["event"]))


async def retold(run: str, journal: Path | None) -> AsyncIterator[Question]:
    """The questions of a run of the journal, one after the other, with the candidates of every step.

    Raises RunError if there is no such run; a call that the journal has lost is an error of its question, the last one.
    """
    telling = Telling()
    _, known = api.recorded(run, journal)
    waiting = list(known.queries)
    try:
        async for told, _ in api.replay(run, journal, [telling]):
            yield _ended(telling.questions.pop(told.id, Question(told.id)), told, known.queries[told.id].question)
            waiting.remove(told.id)
    except RunError as error:
        if not waiting:
            raise
        lost = telling.questions.pop(waiting[0], Question(waiting[0]))
        lost.text, lost.error = as_text(known.queries[lost.id].question), error.diagnostic.headline
        yield lost


def _ended(question: Question, run: Run, asked: Conversation) -> Question:
    question.text, question.status, question.answer = as_text(asked), run.status, run.answer
    question.error = run.error.headline if run.error else run.exhausted
    return question


def as_text(conversation: Conversation) -> str:
    """The question; who says what where there is more than that."""
    if len(conversation) == 1:
        return conversation[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in conversation)


def totals(questions: Iterable[Question], graph: Graph | None) -> dict[str, Spend]:
    """What each node costs over all questions; a node with blocks has what is in them."""
    spent: dict[str, Spend] = defaultdict(lambda: NOTHING)
    owners = graph.owners if graph else {}
    for question in questions:
        for step in question.steps.values():
            here = sum(step.asks.values(), NOTHING)
            for name in (step.node, *owners.get(step.node, ())):
                spent[name] += here
    return spent
