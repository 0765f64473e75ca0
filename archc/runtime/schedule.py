"""Schedule: one graph, one question. A task per node, each waiting for its inputs; nothing polls.

A node that cannot give anything leaves the diagnostic that says why in place of its candidates. Those that depend on
it alone are skipped with the same cause, the others go on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from archc import errors
from archc.calls import (
    NOTHING,
    USUAL_LIMITS,
    Completion,
    Conversation,
    Failed,
    FailureKind,
    Limits,
    Outcome,
    Sampling,
    Spend,
)
from archc.diagnostics import Diagnostic
from archc.ir.condition import Condition
from archc.ir.control import NoResult
from archc.ir.elementwise import Elementwise
from archc.ir.op import Turn
from archc.ir.region import Node, Region
from archc.ir.streams import NO_STREAMS, streams
from archc.runtime.governor import Governor
from archc.runtime.query import Query, Sample
from archc.runtime.run import candidate_json
from archc.runtime.stream import Slot, Stream, made_of, watch
from archc.spec.model import Budget
from archc.values import Candidate, CandidateSet

Result = CandidateSet | Diagnostic


@dataclass
class Frame:
    """One run of a region: what is known there, by node."""

    region: Region
    query: Query
    arrives: Result
    outer: Frame | None = None
    path: tuple[int, ...] = ()
    """The turns of the loops around it: each has samples of its own."""
    copy: int | None = None
    """Which copy of a block it is: copies share one row of samples."""
    base: Spend = NOTHING
    """What has led to it."""
    tasks: dict[str, asyncio.Task[Result]] = field(default_factory=dict)
    behind: int = 0
    """How many nodes that ask models lie behind it, on the longest path."""
    drawn: dict[str, Spend] = field(default_factory=dict)
    """What the samples of each node that is done cost when they were bought."""
    streams: dict[str, Stream] = field(default_factory=dict)
    """What the nodes give whose candidates are told as they come."""

    def __post_init__(self) -> None:
        self.flow = NO_STREAMS if self.query.thrift else streams(self.region, self.query.ample)
        for node in self.region.nodes:
            if node.id in self.flow.sources:
                self.streams[node.id] = Stream(node.op.samples or len(self.slots(node)))

    def slots(self, node: Node) -> list[Slot]:
        """What a node reads, candidate by candidate."""
        return [slot for name in node.inputs if name in self.streams for slot in self.streams[name].slots]

    def source(self, node: Node) -> Node | None:
        """The node whose samples end when this one has enough."""
        if node.id not in self.flow.deciding:
            return None
        return next(one for one in self.region.nodes if one.enough == node.id)

    async def result(self, name: str) -> Result:
        """What a node gives, of this region or one around it, or what arrives at it."""
        if name in self.tasks:
            return await self.tasks[name]
        if name == self.region.arrives or self.outer is None:
            return self.arrives
        return await self.outer.result(name)

    def led_to(self, name: str) -> Spend:
        """What all that must be done before a node has drawn."""
        before = self.region.before(name)
        return sum((self.drawn[one] for one in before if one in self.drawn), self.base)


async def execute(body: Region, governor: Governor, query: Query) -> Result:
    """What leaves the body of a graph for this question, or why nothing does."""
    return await _run(Frame(body, query, CandidateSet()), governor)


async def _run(frame: Frame, governor: Governor) -> Result:
    async with asyncio.TaskGroup() as tasks:
        for node in frame.region.nodes:
            frame.tasks[node.id] = tasks.create_task(NodeRun(governor, frame, node).result())
    return _merge([await frame.result(name) for name in frame.region.outputs])


Draw = Callable[..., Awaitable[tuple[Sample, ...]]]


class NodeRun:
    """One node at work, and what its op sees of the world: implements `archc.ir.op.Context`."""

    def __init__(self, governor: Governor, frame: Frame, node: Node) -> None:
        self._governor = governor
        self._frame = frame
        self._node = node
        self._query = frame.query
        self._behind = frame.behind + frame.region.behind[node.id]
        self._drawn = Spend()
        self._stream = frame.streams.get(node.id)
        self._started = False
        self._where = {"query": frame.query.id, "node": node.id}
        if turns := frame.path + (() if frame.copy is None else (frame.copy,)):
            self._where["path"] = ".".join(map(str, turns))

    async def result(self) -> Result:
        """Waits for what it reads and does its work; begins with single candidates where it can."""
        try:
            return await self._result()
        finally:
            if self._stream:
                self._stream.close()

    async def _result(self) -> Result:
        for name in self._node.op.around:
            await self._frame.result(name)
        made = await self._ahead()
        before = _merge([await self._frame.result(name) for name in self._node.inputs])
        if isinstance(before, Diagnostic):
            return before
        trace = self._query.trace
        self._start(len(before))
        if self._stream and self._node.op.samples:
            self._stream.tests = before.tests
        after = await self._work(before) if made is None else self._gathered(made, before)
        self._frame.drawn[self._node.id] = self._drawn
        if self._query.thrift and self._frame.outer is None:
            self._query.thrift.done(self._node.id)
        if self._query.tells and isinstance(after, CandidateSet):
            self._tell(after)
        counts = (len(after), len(after.failed)) if isinstance(after, CandidateSet) else (0, 0)
        trace.emit("node", **self._where, state="done", candidates=counts[0], failed=counts[1])
        return _lacking(self._node, after) or after if isinstance(after, CandidateSet) else after

    def _tell(self, after: CandidateSet) -> None:
        told = [
            candidate_json(c)
            | ({"reason": c.verdict.reason, "votes": [c.verdict.approvals, c.verdict.votes]} if c.verdict else {})
            for c in after.candidates
        ]
        self._query.trace.emit("left", **self._where, candidates=told, tests=list(after.tests))

    def _start(self, candidates: int) -> None:
        if not self._started:
            self._query.trace.emit("node", **self._where, state="started", candidates=candidates)
            self._started = True

    async def _ahead(self) -> list[Candidate] | None:
        """Does what can be done before all candidates are there."""
        frame, node, op = self._frame, self._node, self._node.op
        early = node.id in frame.flow.early
        if not (early or node.id in frame.flow.deciding):
            return None
        slots, told, source = frame.slots(node), frame.streams[node.inputs[0]], frame.source(node)
        end, least = (frame.streams[source.id], source.op.min_candidates) if source else (None, 0)
        if early and isinstance(op, Elementwise):
            return await made_of(op, self, slots, told, self._stream, end, least)
        if source and end:
            await watch(op.settled, slots, end, source.op.at_a_time, least)
        return None

    def _gathered(self, made: list[Candidate], before: CandidateSet) -> CandidateSet:
        assert isinstance(self._node.op, Elementwise)
        return before.with_candidates(self._node.op.gathered(self, made, before))

    async def _work(self, before: CandidateSet) -> Result:
        """Runs the op; abstentions are passed over, and go on where nothing else is left or nothing is taken away."""
        op = self._node.op
        valid = [c for c in before.candidates if not c.abstained]
        if len(valid) == len(before) or op.blocks or not op.reads_candidates:
            try:
                return await op.run(self, before)
            except NoResult as nothing:
                return nothing.diagnostic
        if not valid:
            return before if op.annotates else before.with_candidates(before.candidates[:1])
        after = await op.run(self, before.with_candidates(valid))
        if not op.annotates:
            return after
        made = iter(after.candidates)
        return after.with_candidates(c if c.abstained else next(made) for c in before.candidates)

    # ---- the context

    @property
    def question(self) -> Conversation:
        """The conversation."""
        return self._query.question

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
        """See `archc.calls.Ask`."""
        path, copy = self._frame.path, self._frame.copy
        if copy is not None:
            row = self._node.op.samples
            path, first = (path, first + copy * row) if row else ((*path, copy), first)
        self._start(len(self._frame.slots(self._node)))  # one that begins before all is there
        draw = partial(
            self._governor.ask,
            self._query,
            self._node,
            model,
            messages,
            sampling,
            prompt=prompt,
            path=path,
            schema=schema,
            logprobs=logprobs,
            labels=labels,
            urgency=self._behind,
            sparing=self._node.op.samples > 0 and self._frame.outer is None,
        )
        if self._stream and self._node.op.samples:
            samples = await self._told(draw, self._stream, n, first)
        else:
            samples = await draw(n=n, first=first)
        self._drawn += self._query.lanes[model].price([s for s in samples if isinstance(s, Completion)])
        return samples

    async def _told(self, draw: Draw, stream: Stream, n: int, first: int) -> tuple[Sample, ...]:
        """Draws samples and tells each; a part of them at a time where another node tells when they are enough."""
        is_ended = self._node.enough in self._frame.flow.deciding
        part = self._node.op.at_a_time if is_ended else n
        samples: tuple[Sample, ...] = ()
        for start in range(0, n, part):
            if start and not await stream.wants(start):
                self.note("enough", samples=start, of=n)
                break
            heard = partial(stream.hear, start)
            samples += await draw(n=min(part, n - start), first=first + start, heard=heard)
        return samples

    async def execute(
        self, program: str, tests: Sequence[str], limits: Limits = USUAL_LIMITS
    ) -> tuple[Outcome | Failed, ...]:
        """See `archc.calls.Execute`."""
        return await self._governor.executor.execute(self._query, self._node, self._where, program, tests, limits)

    def order(self, count: int) -> tuple[int, ...]:
        """A permutation fixed by the seed, the node, the turn and the question."""
        place = ".".join([self._node.id, *([self._where["path"]] if "path" in self._where else [])])
        salt = f"{self._query.seed}:{place}:{self.question[-1].content}"
        shuffled = list(range(count))
        random.Random(salt.encode("utf-8", "surrogatepass")).shuffle(shuffled)
        return tuple(shuffled)

    def note(self, event: str, **data: Any) -> None:
        """Adds to the trace."""
        self._query.trace.emit("note", **self._where, note=event, **data)

    # ---- what control ops use

    async def enter(
        self,
        block: str,
        arrives: CandidateSet,
        *,
        turn: int | None = None,
        copy: int | None = None,
        limit: Budget | None = None,
    ) -> Turn:
        """See `archc.ir.op.Context`."""
        path = self._frame.path if self._frame.copy is None else (*self._frame.path, self._frame.copy)
        base = self._led_here()
        query = self._query
        if limit:
            place = ".".join(map(str, (self._node.id, *path)))
            query = query.within(place, limit, self._governor.clock(), base)
        frame = Frame(
            self._node.op.blocks[block],
            query,
            arrives,
            outer=self._frame,
            path=path if turn is None else (*path, turn),
            copy=copy,
            base=base,
            behind=self._behind,
        )
        result = await _run(frame, self._governor)
        drawn = sum(frame.drawn.values(), Spend())
        if isinstance(result, Diagnostic):
            return Turn(CandidateSet(), result, drawn)
        return Turn(result, None, drawn)

    def has_room(self) -> bool:
        """See `archc.ir.op.Context`."""
        return self._governor.has_room(self._query, self._node, self._frame.path)

    def holds(self, condition: str, candidates: CandidateSet, turns: Sequence[Turn] = ()) -> bool:
        """See `archc.ir.op.Context`."""
        asked: Condition = getattr(self._node.op, condition)
        spent, left = Spend(), Spend()
        if asked.counts_spending:
            spent = sum((turn.drawn for turn in turns), self._frame.led_to(self._node.id))
            left = self._left(spent)
        held = asked.holds(candidates, len(turns), spent, left)
        self.note("tested", condition=asked.text, held=held)
        return held

    def took(self, *turns: Turn) -> None:
        """See `archc.ir.op.Context`."""
        self._drawn = sum((turn.drawn for turn in turns), self._drawn)

    def _led_here(self) -> Spend:
        return self._frame.led_to(self._node.id) + self._drawn

    def _left(self, spent: Spend) -> Spend:
        """Of each unit, what the nearest budget around that limits it has left."""
        left = Spend()
        for scope in self._query.scopes:  # the innermost last
            limits, rest = scope.limit.limited, scope.left(spent)
            if scope.shared:
                continue
            left = Spend(
                rest.calls if "calls" in limits else left.calls,
                rest.tokens if "tokens" in limits else left.prompt,
                0,
                rest.usd if "usd" in limits else left.usd,
            )
        return left


def _merge(results: list[Result]) -> Result:
    """All candidates in order; the first cause if there are none for one."""
    sets = [r for r in results if isinstance(r, CandidateSet)]
    causes = [r for r in results if isinstance(r, Diagnostic)]
    return causes[0] if causes and not any(map(len, sets)) else CandidateSet.concat(sets)


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
    FailureKind.STOPPED: "the same command goes on from there",
    FailureKind.TIMEOUT: "raise the model's `timeout`, or lower its `concurrency`",
}
"""What to do about the failures that somebody can do something about."""
