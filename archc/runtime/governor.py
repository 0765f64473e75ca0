"""Governor: the single gate before the models. Looks a call up, reserves its worst case, sends it, settles, records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from archc import errors
from archc.calls import (
    CallError,
    Completion,
    Conversation,
    Failed,
    FailureKind,
    Purpose,
    Request,
    Sampling,
    Spend,
    Usage,
)
from archc.diagnostics import RunError
from archc.ir.region import Node
from archc.runtime.budget import Ledger, Scope, priced, worst_case
from archc.runtime.fair_queue import Turn
from archc.runtime.identity import CallSet, SampleId
from archc.runtime.journal import Journal
from archc.runtime.lane import Lane
from archc.runtime.trace import Trace
from archc.spec.model import Budget

Sample = Completion | Failed


@dataclass(frozen=True)
class Query:
    """One question being answered, or a part of it within a budget of its own."""

    id: str
    question: Conversation
    seed: int
    scopes: tuple[Scope, ...]
    """The budgets that hold, the innermost last."""
    trace: Trace
    refusals: list[str] = field(default_factory=list)
    """What there was too little of for the whole question, each time a call was not sent."""
    memory: dict[str, Completion] = field(default_factory=dict)
    """What was bought for this question, where there is no journal."""

    @property
    def first_to_end(self) -> Scope | None:
        """The scope with the earliest deadline, if there is one."""
        timed = [scope for scope in self.scopes if scope.deadline is not None]
        return min(timed, key=lambda scope: scope.deadline or 0.0, default=None)

    def within(self, limit: Budget, now: float, base: Spend) -> Query:
        """The same for a block with a budget of its own."""
        deadline = None if limit.seconds is None else now + limit.seconds
        scope = Scope("this block", limit, deadline=deadline, inner=True, base=base)
        return replace(self, scopes=(*self.scopes, scope))


@dataclass(frozen=True)
class Batch:
    """Some samples of one ask: identities and what they have in common."""

    lane: Lane
    node: Node
    query: Query
    request: Request
    ids: tuple[SampleId, ...]
    urgency: int

    def __bool__(self) -> bool:
        return bool(self.ids)

    @property
    def keys(self) -> list[str]:
        """The identities as they stand in the journal."""
        return [one.key for one in self.ids]

    def part(self, ids: tuple[SampleId, ...]) -> Batch:
        """The same for some of the samples."""
        return self if len(ids) == len(self.ids) else replace(self, ids=ids)

    def without(self, gone: Container[str]) -> Batch:
        """The same for the samples that are not `gone`."""
        return self.part(tuple(one for one in self.ids if one.key not in gone))


class Governor:
    """Serves all questions of a session."""

    def __init__(self, lanes: Mapping[str, Lane], journal: Journal | None, clock: Callable[[], float]) -> None:
        self._lanes = lanes
        self._journal = journal
        self.clock = clock
        self._ledger = Ledger()
        self._claimed: dict[str, asyncio.Future[None]] = {}

    async def ask(
        self,
        query: Query,
        node: Node,
        model: str,
        messages: Conversation,
        sampling: Sampling,
        *,
        prompt: str,
        n: int,
        first: int,
        path: tuple[int, ...] = (),
        schema: str | None,
        logprobs: bool,
        urgency: int = 0,
    ) -> tuple[Sample, ...]:
        """The samples in order: from the journal where they are, else bought. See `archc.calls.Ask` and `Turn`."""
        lane = self._lanes[model]
        calls = CallSet(lane.backend.fingerprint, messages, sampling, schema, logprobs, query.seed, (node.site, *path))
        request = Request(
            messages, sampling, (), Purpose(node.op.name, prompt, query.question[-1].content), schema, logprobs
        )
        batch = Batch(lane, node, query, request, tuple(calls.samples(first, n)), urgency)
        samples: dict[str, Sample] = {}
        try:
            async with asyncio.timeout(self._left(query)) as limit:
                await self._obtain(batch, samples)
        except TimeoutError:
            if not limit.expired():
                raise
        if (late := batch.without(samples)) and (ended := query.first_to_end):
            samples |= self._refuse(late, ended, "the time is over")
        return tuple(samples[key] for key in batch.keys)

    def price(self, model: str, completions: Sequence[Completion]) -> Spend:
        """What completions of a model cost when they were bought."""
        return priced(len(completions), _total(completions), self._lanes[model].model.shared.price)

    async def _obtain(self, batch: Batch, samples: dict[str, Sample]) -> None:
        """Fills `samples` until all are there or the time is over."""
        while missing := batch.without(samples):
            samples |= self._known(missing)
            missing = missing.without(samples)
            if not missing or self._left(batch.query) == 0:
                return
            if mine := missing.without(self._claimed):
                await self._buy(mine, samples)
            else:
                await asyncio.wait({self._claimed[key] for key in missing.keys})

    def _known(self, batch: Batch) -> dict[str, Sample]:
        find = self._journal.get if self._journal else batch.query.memory.get
        known: dict[str, Sample] = {key: found for key in batch.keys if (found := find(key)) is not None}
        if known:
            prompt, calls = batch.request.purpose.prompt, len(known)
            batch.query.trace.emit("cached", query=batch.query.id, node=batch.node.id, prompt=prompt, calls=calls)
        return known

    async def _buy(self, batch: Batch, samples: dict[str, Sample]) -> None:
        """Claims the identities, so that nobody else in this process buys them too, and buys what the budget allows."""
        each = worst_case(batch.request.messages, batch.request.sampling, batch.lane.model.shared.price)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._claimed |= dict.fromkeys(batch.keys, done)
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in _requests(batch):
                    tasks.create_task(self._send(group, each, samples))
        finally:
            for key in batch.keys:
                del self._claimed[key]
            done.set_result(None)

    async def _send(self, rest: Batch, each: Spend, samples: dict[str, Sample]) -> None:
        """Buys as many at a time as the budgets have room for, each until it works or should not be tried again.

        Nothing is reserved before this runs, so that nothing stays reserved when it is cancelled before it begins.
        """
        attempt = excused = 0
        while rest:
            granted = await self._ledger.reserve(rest.query.scopes, each, len(rest.keys))
            if isinstance(granted, Scope):
                samples |= self._refuse(rest, granted, granted.lacks(each))
                return
            now = rest.part(rest.ids[:granted])
            outcome = await self._attempt(now, attempt, each * granted)
            if not isinstance(outcome, CallError):
                samples |= zip(now.keys, outcome, strict=True)
            elif await rest.lane.pause(attempt, outcome, excused):
                attempt, excused = attempt + 1, excused + outcome.excused
                continue
            else:
                samples |= dict.fromkeys(now.keys, outcome.failed)
            rest, attempt, excused = rest.part(rest.ids[granted:]), 0, 0

    async def _attempt(self, batch: Batch, attempt: int, reserved: Spend) -> Sequence[Completion] | CallError:
        """One try. The reservation is settled and the trace told in every case."""
        request = replace(batch.request, seeds=tuple(one.seed for one in batch.ids))
        spent, outcome, reason = Spend(), "aborted", ""
        started = self.clock()
        try:
            async with batch.lane.slot(Turn(batch.query.id, batch.urgency, reserved.tokens)):
                spent = reserved  # what it may have cost if it is cancelled from here on
                completions = await batch.lane.backend.complete(request)
                spent, outcome = priced(len(batch.keys), _total(completions), batch.lane.model.shared.price), "ok"
                await self._keep(batch, completions)  # in its place still: a kill loses no more than are in flight
                return completions
        except CallError as error:
            spent = reserved if error.billed else Spend()
            outcome, reason = error.failed.kind, error.failed.reason
            return error
        finally:
            self._ledger.settle(batch.query.scopes, reserved, spent)
            self._note(batch, attempt, started, outcome, spent, reason)

    async def _keep(self, batch: Batch, completions: Sequence[Completion]) -> None:
        if self._journal is None:
            batch.query.memory.update(zip(batch.keys, completions, strict=True))
            return
        fingerprint = batch.lane.backend.fingerprint
        await self._journal.put([(k, fingerprint, c) for k, c in zip(batch.keys, completions, strict=True)])

    def _refuse(self, batch: Batch, scope: Scope, reason: str) -> dict[str, Failed]:
        query, calls = batch.query, len(batch.keys)
        place = {"block": True} if scope.inner else {}
        if not scope.inner:
            query.refusals.append(reason)
        query.trace.emit("refused", query=query.id, node=batch.node.id, calls=calls, reason=reason, **place)
        if not scope.inner and any(one.limit.on_exhausted == "error" for one in query.scopes):
            raise RunError(errors.BudgetExhausted(span=batch.node.span, reason=reason))
        return dict.fromkeys(batch.keys, Failed(FailureKind.BUDGET, reason))

    def _left(self, query: Query) -> float | None:
        """Seconds until the nearest deadline, if there is one."""
        ending = query.first_to_end
        return None if ending is None or ending.deadline is None else max(0.0, ending.deadline - self.clock())

    def _note(self, batch: Batch, attempt: int, started: float, outcome: str, spent: Spend, reason: str) -> None:
        event: dict[str, Any] = {
            "query": batch.query.id,
            "node": batch.node.id,
            "span": str(batch.node.span),
            "model": batch.lane.model.name,
            "prompt": batch.request.purpose.prompt,
            "samples": [one.index for one in batch.ids],
            "attempt": attempt,
            "seconds": round(self.clock() - started, 6),
            "outcome": outcome,
            "calls": spent.calls,
            "prompt_tokens": spent.prompt,
            "completion_tokens": spent.completion,
            "usd": spent.usd,
        }
        batch.query.trace.emit("call", **event, **({"reason": reason} if reason else {}))


def _requests(batch: Batch) -> list[Batch]:
    """One for each stretch of indices without a gap, as a server counts seeds on; where it takes no `n`, all singly."""
    together = batch.lane.backend.able.n
    starts = [i for i, one in enumerate(batch.ids) if not (together and i and one.index == batch.ids[i - 1].index + 1)]
    return [batch.part(batch.ids[start:end]) for start, end in pairwise([*starts, len(batch.ids)])]


def _total(completions: Sequence[Completion]) -> Usage:
    return sum((c.usage for c in completions), Usage())
