"""Governor: the single gate before the models. Looks a call up, reserves its worst case, sends it, settles, records.

What is executed goes through its `executor`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

from archc import errors
from archc.calls import (
    NOTHING,
    CallError,
    Completion,
    Conversation,
    Failed,
    FailureKind,
    Purpose,
    Request,
    Sampling,
    Spend,
)
from archc.diagnostics import Diagnostic, RunError
from archc.ir.region import Node
from archc.runtime.budget import Ledger, Scope, used
from archc.runtime.executor import Executor
from archc.runtime.fair_queue import Turn
from archc.runtime.hedge import Second, hedged
from archc.runtime.identity import CallSet
from archc.runtime.journal import Journal
from archc.runtime.lane import Lane
from archc.runtime.query import Batch, Heard, Query, Sample, Samples, Told, shown
from archc.runtime.records import Attempt, Claim, Outcome


class Governor:
    """Serves all questions of all sessions of an engine."""

    def __init__(
        self,
        journal: Journal | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self.clock = clock
        self._sleep = sleep
        self._ledger = Ledger()
        self._claimed: dict[str, asyncio.Future[None]] = {}
        self._stopped = asyncio.Event()
        self.executor = Executor(journal, clock, self._stopped.is_set)
        self.breach: Diagnostic | None = None
        """A server has written more than it was allowed to, so that no budget can be kept: nothing more is sent."""

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Sends nothing more: what is under way comes to its end, what is not yet sent is refused."""
        self._stopped.set()

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
        labels: tuple[str, ...] = (),
        urgency: int = 0,
        sparing: bool = False,
        heard: Heard | None = None,
    ) -> tuple[Sample, ...]:
        """The samples in order: from the journal where they are, else bought. See `archc.calls.Ask`.

        Each is `heard` as soon as it is there, by its place among them.

        Raises RunError where nothing can go on: the journal is broken, a server does not keep to what it is told.
        """
        lane = query.lanes[model]
        site = (node.site, *path)
        calls = CallSet(lane.fingerprint, messages, sampling, schema, logprobs, query.seed, site, labels)
        purpose = Purpose(node.op.name, prompt, query.question[-1].content)
        request = Request(messages, sampling, (), purpose, schema, logprobs, labels)
        batch = Batch(lane, node, query, request, tuple(calls.samples(first, n)), urgency, path)
        samples: Samples = Told(batch.keys, heard) if heard else {}
        samples.update(self._known(batch))
        if sparing and (new := batch.without(samples)) and query.thrift:
            most = query.thrift.samples(node.id, batch.worst, len(new.keys))
            self._spare(new.part(new.ids[most:]), samples)
        if ending := query.first_to_end:
            try:
                async with asyncio.timeout(self._left(query)) as limit:
                    await self._obtain(batch, samples)
            except TimeoutError:
                if not limit.expired():
                    raise
            if late := batch.without(samples):
                self._refuse(late, samples, Failed(FailureKind.BUDGET, "the time is over"), ending)
        else:
            await self._obtain(batch, samples)
        return tuple(shown(samples[key]) for key in batch.keys)

    async def _obtain(self, batch: Batch, samples: Samples) -> None:
        """Fills `samples` until all are there or the time is over."""
        missing = batch.without(samples)
        while missing and self._left(batch.query) != 0:
            if mine := missing.without(self._claimed):
                await self._buy(mine, samples)
            else:
                await asyncio.wait({self._claimed[key] for key in missing.keys})
            if missing := missing.without(samples):
                samples.update(self._known(missing))
                missing = missing.without(samples)

    def _known(self, batch: Batch) -> dict[str, Sample]:
        failed = batch.query.failed
        known: dict[str, Sample] = {key: failed[key] for key in batch.keys if key in failed}
        if found := self._find(batch.query, [key for key in batch.keys if key not in known]):
            cost = batch.lane.price(tuple(found.values()))
            self._tell(batch, "cached", prompt=batch.request.purpose.prompt, **figures(cost))
        return known | found

    def _find(self, query: Query, keys: Sequence[str]) -> dict[str, Completion]:
        """Those that were bought."""
        if self._journal:
            return self._journal.find(keys) if keys else {}
        return {key: query.memory[key] for key in keys if key in query.memory}

    def _spare(self, batch: Batch, samples: Samples) -> None:
        """Leaves samples out, so that there is room for what must come."""
        if batch:
            self._tell(batch, "spared", calls=len(batch.keys), reason=_SPARED.reason)
            self._fail(batch, samples, _SPARED)

    def has_room(self, query: Query, node: Node, path: tuple[int, ...]) -> bool:
        """Whether a step may be run beside all that must come; what is decided stands in the journal."""
        key = sha256(json.dumps([node.id, path]).encode()).hexdigest()
        if key in query.failed:
            return False
        if query.thrift is None or query.thrift.has_room(node.id):
            return True
        query.failed[key] = _SPARED
        if self._journal:
            self._journal.fail(query.run, query.id, {key: _SPARED}, whole=False)
        return False

    async def _buy(self, batch: Batch, samples: Samples) -> None:
        """Claims the identities, so that nobody else in this process buys them too, and buys what the budget allows."""
        each = batch.worst
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._claimed |= dict.fromkeys(batch.keys, done)
        try:
            await self._send_all(batch.requests(), each, samples)
        finally:
            for key in batch.keys:
                del self._claimed[key]
            done.set_result(None)

    async def _send_all(self, parts: Sequence[Batch], each: Spend, samples: Samples) -> None:
        if len(parts) == 1:
            return await self._send(parts[0], each, samples)
        async with asyncio.TaskGroup() as tasks:
            for part in parts:
                tasks.create_task(self._send(part, each, samples))

    async def _send(self, rest: Batch, each: Spend, samples: Samples) -> None:
        """Buys as many at a time as the budgets have room for, each until it works or should not be tried again.

        Nothing is reserved before this runs, so that nothing stays reserved when it is cancelled before it begins.
        """
        attempt = excused = 0
        while rest:
            if self.breach:
                raise RunError(self.breach)
            if len(parts := rest.requests()) > 1:  # a server turned out to give one at a time
                return await self._send_all(parts, each, samples)
            granted = await self._ledger.reserve(rest.query.scopes, each, len(rest.keys), rest.query.number)
            if isinstance(granted, Scope):
                return self._refuse(rest, samples, Failed(FailureKind.BUDGET, granted.lacks(each)), granted)
            tried, outcome = await self._attempt(rest.part(rest.ids[:granted]), attempt, each)
            if isinstance(outcome, CallError):
                if self.stopped or await self._pause(rest.lane, attempt, outcome, excused):
                    attempt, excused = attempt + 1, excused + outcome.excused
                    if self.stopped:
                        return self._refuse(rest, samples, _STOPPED)
                    continue
                self._fail(tried, samples, outcome.failed)
            elif not tried:
                await self._elsewhere(rest, samples)
            else:
                samples.update(zip(tried.keys, outcome, strict=False))
            rest, attempt, excused = rest.without(samples), 0, 0
        if self.breach:
            raise RunError(self.breach)

    async def _pause(self, lane: Lane, attempt: int, error: CallError, excused: int) -> bool:
        """Waits before the next try; False if there should be none. Ends early when nothing more is sent."""
        pausing = asyncio.ensure_future(lane.pause(attempt, error, excused))
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((pausing, stopping), return_when=asyncio.FIRST_COMPLETED)
            return not pausing.done() or pausing.result()
        finally:
            pausing.cancel()
            stopping.cancel()

    async def _elsewhere(self, batch: Batch, samples: Samples) -> None:
        """Waits while another process buys these: a file tells nobody that it has changed."""
        assert self._journal
        wait = _LOOK_AGAIN_S
        while all(map(self._journal.is_being_bought, batch.keys)):
            await self._sleep(wait)
            wait = min(2 * wait, 16 * _LOOK_AGAIN_S)
        samples.update(self._known(batch))

    async def _attempt(self, batch: Batch, number: int, each: Spend) -> tuple[Batch, Sequence[Completion] | CallError]:
        """One try, with what was tried: none of it if others are buying it all.

        The reservation is settled, and the journal and the trace are told, in every case.
        """
        reserved = each * len(batch.keys)
        outcome = _UNSENT
        began, sent, claim, settled = self.clock(), None, None, None
        try:
            async with batch.lane.slot(Turn(batch.query.id, batch.urgency, reserved.tokens)) as place:
                place.unused = True
                if self.stopped:
                    return batch, CallError(FailureKind.STOPPED, _STOPPED.reason)
                claim = await self._claim(batch, each)
                if len(claim.keys) < len(batch.keys):
                    batch = batch.only(claim.keys)
                    mine = each * len(claim.keys)
                    self._ledger.settle(batch.query.scopes, reserved - mine, NOTHING)
                    reserved = mine
                if not batch:
                    return batch, ()
                place.unused = False
                sent, other = self.clock(), Second()
                outcome = Outcome("doubt", reserved, {}, reason="aborted")
                self._tell(batch, "sending", calls=len(batch.keys))
                try:
                    request = batch.request.of(tuple(one.seed for one in batch.ids))
                    completions = await self._drawn(batch, request, other)
                    spent = batch.lane.price(completions) + self._paid_beside(batch, other)
                    samples = dict(zip(batch.keys, completions, strict=False))
                    outcome = Outcome("ok", spent, samples, batch.lane.fingerprint, server=completions[0].server)
                    return batch, completions
                except CallError as error:
                    outcome = _failed(error, reserved if other.sent else batch.single * len(batch.keys))
                    raise
                finally:
                    # Booked in its place, and so before whoever gets that: a kill leaves no more in doubt than are in
                    # flight. The disk is waited for outside.
                    settled = self._settled(batch, claim, outcome)
        except CallError as error:
            return batch, error
        finally:
            try:
                if settled:
                    await settled
            finally:
                self._ledger.settle(batch.query.scopes, reserved, outcome.spent)
                self._watch(batch, outcome, reserved)
                if batch:
                    self._note(batch, number, began, sent, claim, outcome)

    async def _drawn(self, batch: Batch, request: Request, other: Second) -> Sequence[Completion]:
        lane = batch.lane
        if (after := lane.model.shared.hedge) is None:
            return await lane.backend.complete(request)
        turn = Turn(batch.query.id, batch.urgency, (batch.single * len(batch.keys)).tokens)
        return await hedged(lane, request, turn, after, self._sleep, other)

    def _paid_beside(self, batch: Batch, other: Second) -> Spend:
        """What the request cost whose answer was not taken."""
        if other.drawn:
            return batch.lane.price(other.drawn)
        return batch.single * len(batch.keys) if other.sent and other.billed else NOTHING

    async def _claim(self, batch: Batch, each: Spend) -> Claim:
        if self._journal is None:
            return Claim(0, batch.keys)
        query, model = batch.query, batch.lane.model.name
        attempt = Attempt(query.run, query.id, batch.node.id, model, query.blocks, each, batch.keys)
        return await self._journal.reserve(attempt)

    def _settled(self, batch: Batch, claim: Claim, outcome: Outcome) -> Awaitable[None] | None:
        if self._journal:
            return self._journal.settle(claim, outcome)
        batch.query.memory.update(outcome.samples)
        return None

    def _watch(self, batch: Batch, outcome: Outcome, reserved: Spend) -> None:
        """Stops everything once a server has used more than was reserved, where that may break a budget.

        Prompts alone may be a little longer than they can be by their bytes: a template may add what nobody told.
        """
        scopes = [scope for scope in batch.query.scopes if scope.meters]
        if outcome.state != "ok" or not scopes or self.breach:
            return
        spent, broken = outcome.spent, any(s.lacks(NOTHING) for s in scopes)
        for what, got, most in (
            ("completion tokens", spent.completion, reserved.completion),
            ("prompt tokens", spent.prompt, reserved.prompt if broken else spent.prompt),
        ):
            if got > most:
                model = batch.lane.model.name
                self.breach = errors.BudgetBreach(span=batch.node.span, model=model, what=what, got=got, most=most)
                return

    def _fail(self, batch: Batch, samples: Samples, failed: Failed, *, whole: bool = False) -> None:
        """Puts a failure in the place of samples, for good; `whole`: one that ends the question."""
        missing: dict[str, Failed] = dict.fromkeys(batch.keys, failed)
        samples.update(missing)
        batch.query.failed.update(missing)
        if self._journal:
            self._journal.fail(batch.query.run, batch.query.id, missing, whole)

    def _refuse(self, batch: Batch, samples: Samples, failed: Failed, scope: Scope | None = None) -> None:
        """The same for samples that are not asked for; `scope` is what has no room for them."""
        if scope:
            scope.refused = True
        whole = not (scope and scope.block)
        place = {} if whole else {"block": True}
        self._tell(batch, "refused", calls=len(batch.keys), reason=failed.reason, **place)
        self._fail(batch, samples, failed, whole=whole)
        if whole:
            batch.query.refuse(failed, batch.node.span)

    def _left(self, query: Query) -> float | None:
        """Seconds until the nearest deadline, if there is one."""
        ending = query.first_to_end
        return None if ending is None or ending.deadline is None else max(0.0, ending.deadline - self.clock())

    def _note(
        self, batch: Batch, attempt: int, began: float, sent: float | None, claim: Claim | None, outcome: Outcome
    ) -> None:
        usage = used(outcome.samples.values())
        self._tell(
            batch,
            "call",
            span=batch.node.where,
            prompt=batch.request.purpose.prompt,
            samples=[one.index for one in batch.ids],
            attempt=attempt,
            id=claim.id if claim else None,
            server=outcome.server,
            sent=None if sent is None else batch.query.trace.at(sent),
            seconds=round(self.clock() - began, 6),
            outcome="ok" if outcome.state == "ok" else outcome.kind,
            cached_tokens=usage.cached,
            reasoning_tokens=usage.reasoning,
            **figures(outcome.spent),
            **({"reason": outcome.reason} if outcome.reason else {}),
        )

    def _tell(self, batch: Batch, event: str, **data: Any) -> None:
        batch.query.trace.emit(event, **batch.where, **data)


def figures(spent: Spend) -> dict[str, float]:
    """What was spent, as events tell it."""
    tokens = {"prompt_tokens": spent.prompt, "completion_tokens": spent.completion}
    return {"calls": spent.calls, **tokens, "usd": spent.usd}


_LOOK_AGAIN_S = 0.02
_UNSENT = Outcome("free", NOTHING, {})
_SPARED = Failed(FailureKind.BUDGET, "left out to have room for what must come")
_STOPPED = Failed(FailureKind.STOPPED, "the run was stopped")


def _failed(error: CallError, reserved: Spend) -> Outcome:
    """What an attempt that failed has cost: nothing, or nobody knows, or its worst case in vain."""
    kind, reason = error.failed.kind, error.failed.reason
    if not error.billed:
        return Outcome("free", NOTHING, {}, kind=kind, reason=reason, server=error.server)
    unknown = kind in (FailureKind.TIMEOUT, FailureKind.CONNECTION)
    return Outcome("doubt" if unknown else "billed", reserved, {}, kind=kind, reason=reason, server=error.server)
