"""Governor: the single gate before the models. Looks a call up, reserves its worst case, sends it, settles, records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archc import errors
from archc.calls import CallError, Completion, Conversation, Failed, FailureKind, Purpose, Request, Sampling, Usage
from archc.diagnostics import RunError
from archc.ir.graph import Node
from archc.runtime.budget import Ledger, Scope, Spend, priced, worst_case
from archc.runtime.identity import CallSet, seed_of
from archc.runtime.journal import Journal
from archc.runtime.lane import Lane
from archc.runtime.trace import Trace

Sample = Completion | Failed


@dataclass(frozen=True)
class Query:
    """One question being answered: its budget scopes, its deadline on the clock, its seed."""

    id: str
    question: Conversation
    seed: int
    scopes: tuple[Scope, ...]
    deadline: float | None
    trace: Trace
    refusals: list[str] = field(default_factory=list)
    """What there was too little of, each time a call was not sent."""
    memory: dict[str, Completion] = field(default_factory=dict)
    """What was bought for this question, where there is no journal."""


@dataclass(frozen=True)
class Batch:
    """The samples of one ask that must be bought: identities and what they have in common."""

    lane: Lane
    node: Node
    query: Query
    request: Request
    keys: tuple[str, ...]
    indices: tuple[int, ...]


class Governor:
    """Serves all questions of a session."""

    def __init__(self, lanes: Mapping[str, Lane], journal: Journal | None, clock: Callable[[], float]) -> None:
        self._lanes = lanes
        self._journal = journal
        self._clock = clock
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
        schema: str | None,
        logprobs: bool,
    ) -> tuple[Sample, ...]:
        """The samples in order: from the journal where they are, else bought. See `archc.calls.Ask`."""
        lane = self._lanes[model]
        calls = CallSet(lane.backend.fingerprint, messages, sampling, schema, logprobs, query.seed, node.site)
        keys = calls.keys(first, n)
        request = Request(
            messages, sampling, (), Purpose(node.op.name, prompt, query.question[-1].content), schema, logprobs
        )
        samples: dict[str, Sample] = {}
        while missing := [k for k in dict.fromkeys(keys) if k not in samples]:
            samples |= self._known(query, node, missing, prompt)
            mine = [k for k in missing if k not in samples and k not in self._claimed]
            theirs = [self._claimed[k] for k in missing if k not in samples and k in self._claimed]
            if mine:
                indices = tuple(first + keys.index(k) for k in mine)
                samples |= await self._buy(Batch(lane, node, query, request, tuple(mine), indices))
            elif theirs:
                await asyncio.wait(theirs)
        return tuple(samples[k] for k in keys)

    def _known(self, query: Query, node: Node, keys: Sequence[str], prompt: str) -> dict[str, Sample]:
        known: dict[str, Sample] = {}
        for key in keys:
            completion = self._journal.get(key) if self._journal else query.memory.get(key)
            if completion is not None:
                known[key] = completion
        if known:
            query.trace.emit("cached", query=query.id, node=node.id, prompt=prompt, calls=len(known))
        return known

    async def _buy(self, batch: Batch) -> dict[str, Sample]:
        """Claims the identities, so that nobody else in this process buys them too, and buys what the budget allows."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._claimed |= dict.fromkeys(batch.keys, done)
        try:
            return await self._buy_claimed(batch)
        finally:
            for key in batch.keys:
                del self._claimed[key]
            done.set_result(None)

    async def _buy_claimed(self, batch: Batch) -> dict[str, Sample]:
        price = batch.lane.model.shared.price
        each = worst_case(batch.request.messages, batch.request.sampling, price)
        granted = await self._reserve(batch, each, len(batch.keys))
        groups = [slice(0, granted)] if batch.lane.model.capabilities.n else [slice(i, i + 1) for i in range(granted)]
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(self._send(_part(batch, group), each)) for group in groups if granted]
        samples: dict[str, Sample] = {}
        for task in sent:
            samples |= task.result()
        refused = batch.keys[granted:]
        return samples | {key: Failed(FailureKind.BUDGET, batch.query.refusals[-1]) for key in refused}

    async def _reserve(self, batch: Batch, each: Spend, count: int) -> int:
        if self._late(batch.query):
            self._refused(batch, count, "the time is over")
            return 0
        granted, reason = await self._ledger.reserve(batch.query.scopes, each, count)
        if granted < count:
            self._refused(batch, count - granted, reason)
        return granted

    def _refused(self, batch: Batch, calls: int, reason: str) -> None:
        query = batch.query
        query.refusals.append(reason)
        query.trace.emit("refused", query=query.id, node=batch.node.id, calls=calls, reason=reason)
        if any(scope.limit.on_exhausted == "error" for scope in query.scopes):
            raise RunError(errors.BudgetExhausted(span=batch.node.span, reason=reason))

    def _late(self, query: Query) -> bool:
        return query.deadline is not None and self._clock() >= query.deadline

    async def _send(self, batch: Batch, each: Spend) -> dict[str, Sample]:
        """Tries until it works or should not be tried again; the reservation is settled in every case."""
        count = len(batch.keys)
        request = replace(batch.request, seeds=tuple(seed_of(key) for key in batch.keys))
        attempt = 0
        while True:
            spent = each * count  # what it may have cost if it is cancelled on the way
            started = self._clock()
            try:
                completions = await self._timed(batch, request)
                spent = priced(count, _total(completions), batch.lane.model.shared.price)
                self._note(batch, attempt, started, "ok", spent, None)
                await self._keep(batch, completions)
                return dict(zip(batch.keys, completions, strict=True))
            except CallError as error:
                spent = each * count if error.billed else Spend()
                failure = error
                self._note(batch, attempt, started, error.failed.kind, spent, error.failed.reason)
            finally:
                await self._ledger.settle(batch.query.scopes, each * count, spent)
            again = await batch.lane.pause(attempt, failure)
            if not again or not await self._reserve_again(batch, each, count):
                return dict.fromkeys(batch.keys, failure.failed)
            attempt += 1

    async def _reserve_again(self, batch: Batch, each: Spend, count: int) -> bool:
        granted = await self._reserve(batch, each, count)
        if granted < count:
            await self._ledger.settle(batch.query.scopes, each * granted, Spend())
        return granted == count

    async def _timed(self, batch: Batch, request: Request) -> tuple[Completion, ...]:
        deadline = batch.query.deadline
        left = None if deadline is None else max(0.0, deadline - self._clock())
        try:
            async with asyncio.timeout(left):
                return await batch.lane.attempt(request)
        except TimeoutError:
            self._refused(batch, len(batch.keys), "the time is over")
            raise CallError(FailureKind.BUDGET, "the time for this question is over", billed=True) from None

    async def _keep(self, batch: Batch, completions: Sequence[Completion]) -> None:
        if self._journal is None:
            batch.query.memory.update(dict(zip(batch.keys, completions, strict=True)))
            return
        fingerprint = batch.lane.backend.fingerprint
        await self._journal.put([(k, fingerprint, c) for k, c in zip(batch.keys, completions, strict=True)])

    def _note(
        self, batch: Batch, attempt: int, started: float, outcome: str, spent: Spend, reason: str | None
    ) -> None:
        event: dict[str, Any] = {
            "query": batch.query.id,
            "node": batch.node.id,
            "span": str(batch.node.span),
            "model": batch.lane.model.name,
            "prompt": batch.request.purpose.prompt,
            "samples": list(batch.indices),
            "attempt": attempt,
            "seconds": round(self._clock() - started, 6),
            "outcome": outcome,
            "calls": spent.calls,
            "prompt_tokens": spent.prompt,
            "completion_tokens": spent.completion,
            "usd": spent.usd,
        }
        batch.query.trace.emit("call", **event, **({"reason": reason} if reason else {}))


def _part(batch: Batch, group: slice) -> Batch:
    return replace(batch, keys=batch.keys[group], indices=batch.indices[group])


def _total(completions: Sequence[Completion]) -> Usage:
    return sum((c.usage for c in completions), Usage())
