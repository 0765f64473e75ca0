"""A context for one op, with functions in the place of models and sandbox. It records what was asked and noted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archc.calls import USUAL_LIMITS, Completion, Conversation, Failed, Limits, Message, Outcome, Sampling
from archc.ir.op import Op
from archc.values import Candidate, CandidateSet

Replies = Callable[[str, Conversation, str, int], str | Completion | Failed]
"""From the model, the messages, the prompt's name and the sample index to a reply."""


@dataclass(frozen=True)
class Asked:
    """One call."""

    model: str
    messages: Conversation
    sampling: Sampling
    prompt: str
    index: int
    schema: str | None

    @property
    def text(self) -> str:
        """The last message."""
        return self.messages[-1].content


class ScriptedContext:
    """Implements `archc.ir.op.Context`. `order` is a function of the count; by default it turns the list around."""

    def __init__(
        self,
        question: str | Conversation,
        replies: Replies,
        order: Callable[[int], Sequence[int]] = lambda count: range(count)[::-1],
        outcome: Callable[[str, str], Outcome | Failed] = lambda program, test: Outcome("passed"),
    ) -> None:
        self.question = (Message("user", question),) if isinstance(question, str) else question
        self._replies, self._order = replies, order
        self._outcome = outcome
        self.asked: list[Asked] = []
        self.executed: list[tuple[str, str]] = []
        self.notes: list[tuple[str, dict[str, Any]]] = []

    async def ask(
        self,
        model: str,
        messages: Conversation,
        sampling: Sampling,
        *,
        prompt: str,
        n: int = 1,
        first: int = 0,
        schema: str | None = None,
        logprobs: bool = False,
        labels: tuple[str, ...] = (),
    ) -> tuple[Completion | Failed, ...]:
        await asyncio.sleep(0)
        drawn: list[Completion | Failed] = []
        for index in range(first, first + n):
            self.asked.append(Asked(model, messages, sampling, prompt, index, schema))
            reply = self._replies(model, messages, prompt, index)
            drawn.append(Completion(reply) if isinstance(reply, str) else reply)
        return tuple(drawn)

    async def execute(
        self, program: str, tests: Sequence[str], limits: Limits = USUAL_LIMITS
    ) -> tuple[Outcome | Failed, ...]:
        await asyncio.sleep(0)
        self.executed += [(program, test) for test in tests]
        return tuple(self._outcome(program, test) for test in tests)

    def order(self, count: int) -> tuple[int, ...]:
        return tuple(self._order(count))

    def note(self, event: str, **data: Any) -> None:
        self.notes.append((event, data))

    @property
    def events(self) -> list[str]:
        """What was noted, by name, in order."""
        return [event for event, _ in self.notes]


def candidates(*texts: str, tests: tuple[str, ...] = (), asserts: tuple[str, ...] = ()) -> CandidateSet:
    """A set of bare candidates."""
    return CandidateSet(tuple(Candidate.of(text) for text in texts), tests=tests, asserts=asserts)


def run(op: Op, ctx: ScriptedContext, before: CandidateSet) -> CandidateSet:
    """Runs the op to its end."""
    return asyncio.run(op.run(ctx, before))


def never(model: str, messages: Conversation, prompt: str, index: int) -> str:
    """Replies for an op that must not ask."""
    raise AssertionError(f"asked for {prompt}")
