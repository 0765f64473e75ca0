"""Schedule: one graph, one question. A task per node, each waiting for its inputs; nothing polls.

A node that cannot give anything leaves the diagnostic that says why in place of its candidates. Those that depend on
it alone are skipped with the same cause, the others go on.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from archc import errors
from archc.calls import Completion, Conversation, Failed, FailureKind, Sampling
from archc.diagnostics import Diagnostic
from archc.ir.graph import Graph, Node
from archc.runtime.governor import Governor, Query
from archc.values import CandidateSet

Result = CandidateSet | Diagnostic


@dataclass(frozen=True)
class NodeContext:
    """What the op of one node sees of the world."""

    governor: Governor
    query: Query
    node: Node

    @property
    def question(self) -> Conversation:
        """The conversation."""
        return self.query.question

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
    ) -> tuple[Completion | Failed, ...]:
        """See `archc.calls.Ask`."""
        return await self.governor.ask(
            self.query,
            self.node,
            model,
            messages,
            sampling,
            prompt=prompt,
            n=n,
            first=first,
            schema=schema,
            logprobs=logprobs,
        )

    def order(self, count: int) -> tuple[int, ...]:
        """A permutation fixed by the seed, the node and the question."""
        salt = f"{self.query.seed}:{self.node.id}:{self.question[-1].content}"
        shuffled = list(range(count))
        random.Random(salt.encode("utf-8", "surrogatepass")).shuffle(shuffled)
        return tuple(shuffled)

    def note(self, event: str, **data: Any) -> None:
        """Adds to the trace."""
        self.query.trace.emit("note", query=self.query.id, node=self.node.id, note=event, **data)


async def execute(graph: Graph, governor: Governor, query: Query) -> Result:
    """What leaves the graph for this question, or why nothing does."""
    done: dict[str, asyncio.Task[Result]] = {}
    async with asyncio.TaskGroup() as tasks:
        for node in graph.nodes:
            inputs = [done[i] for i in node.inputs]
            done[node.id] = tasks.create_task(_run_node(NodeContext(governor, query, node), inputs))
    return _merge([done[o].result() for o in graph.outputs])


async def _run_node(ctx: NodeContext, inputs: list[asyncio.Task[Result]]) -> Result:
    before = _merge([await task for task in inputs])
    if isinstance(before, Diagnostic):
        return before
    trace, where = ctx.query.trace, {"query": ctx.query.id, "node": ctx.node.id}
    trace.emit("node", **where, state="started", candidates=len(before))
    after = await ctx.node.op.run(ctx, before)
    trace.emit("node", **where, state="done", candidates=len(after), failed=len(after.failed))
    return _lacking(ctx.node, after) or after


def _merge(results: list[Result]) -> Result:
    """All candidates in order; the first cause if nothing is left of any."""
    sets = [r for r in results if isinstance(r, CandidateSet)]
    causes = [r for r in results if isinstance(r, Diagnostic)]
    return causes[0] if causes and not sets else CandidateSet.concat(sets)


def _lacking(node: Node, after: CandidateSet) -> Diagnostic | None:
    least = node.op.min_candidates
    if len(after) >= least:
        return None
    reason, hint = "nothing came back", ""
    if after.failed:
        first = after.failed[0]
        reason, hint = f"{first.kind}: {first.reason}", _REMEDIES.get(first.kind, "")
    if len(after) == 0:
        return errors.NoAnswer(span=node.span, node=node.id, reason=reason, hint=hint)
    return errors.TooFewValid(span=node.span, node=node.id, got=len(after), wanted=least, reason=reason, hint=hint)


_REMEDIES = {
    FailureKind.AUTH: "`archc keys list` shows which key goes where; `archc keys bind HOST VARIABLE` adds one",
    FailureKind.BUDGET: "raise the budget, or ask for less",
    FailureKind.CONNECTION: "is the server running, and is `base_url` right?",
    FailureKind.CONTEXT_LENGTH: "use a model with a longer context, a shorter question, or a smaller `max_tokens`",
    FailureKind.NOT_FOUND: "compare `model` and `base_url` with what the server offers",
    FailureKind.OVERLOAD: "lower the model's `concurrency`, or raise its `retries`",
    FailureKind.RATE_LIMIT: "set the model's `rate`, lower its `concurrency`, or raise its `retries`",
    FailureKind.TIMEOUT: "raise the model's `timeout`, or lower its `concurrency`",
}
"""What to do about the failures that somebody can do something about."""
