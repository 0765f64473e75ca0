"""Query: a question being answered, and the samples that one of its steps asks for."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Container, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from archc import errors
from archc.calls import NOTHING, Completion, Conversation, Failed, FailureKind, Finish, Outcome, Request, Spend
from archc.diagnostics import RunError
from archc.ir.region import Node
from archc.runtime.budget import Scope, worst_case
from archc.runtime.identity import SampleId
from archc.runtime.lane import Lane
from archc.runtime.thrift import Thrift
from archc.runtime.trace import Trace
from archc.source import Span
from archc.spec.model import Budget

Sample = Completion | Failed
Samples = MutableMapping[str, Sample]
"""Samples by key."""
Heard = Callable[[int, Sample], None]
"""Takes a sample as soon as it is there, with its place among those that were asked for."""


class Told(UserDict[str, Sample]):
    """Samples of which each is told when it comes."""

    def __init__(self, keys: Sequence[str], heard: Heard | None) -> None:
        super().__init__()
        self._place = {key: i for i, key in enumerate(keys)} if heard else {}
        self._heard = heard

    def __setitem__(self, key: str, sample: Sample) -> None:
        super().__setitem__(key, sample)
        if self._heard:
            self._heard(self._place[key], shown(sample))


def shown(sample: Sample) -> Sample:
    """A text that was withheld is a failure to whoever asked, though it was paid for and is kept."""
    if isinstance(sample, Completion) and sample.finish is Finish.CONTENT_FILTER and not sample.text:
        return Failed(FailureKind.CONTENT_FILTER, "the server withheld the text (content filter)")
    return sample


@dataclass(frozen=True)
class Query:
    """One question being answered, or a part of it within a budget of its own."""

    id: str
    question: Conversation
    seed: int
    scopes: tuple[Scope, ...]
    """The budgets that hold, the innermost last."""
    trace: Trace
    lanes: Mapping[str, Lane]
    """The way to each model, by the spec's names."""
    run: str = ""
    """The run's id in the journal."""
    number: int = 0
    """Which of a session's questions it is; those that began earlier are served first where a budget is short."""
    refusals: list[Failed] = field(default_factory=list)
    """Why calls were not sent that the whole question needed, each time."""
    memory: dict[str, Completion] = field(default_factory=dict)
    """What was bought for this question, where there is no journal."""
    executed: dict[str, Outcome] = field(default_factory=dict)
    """What was run for this question, where there is no journal."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """What stands in the place of samples and executions: for this question that is final."""
    ample: bool = False
    """Whether all budgets have room for all there is to do, so that it doesn't matter what is asked for first."""
    thrift: Thrift | None = None
    """Saves for what must come; None where nothing is to be saved."""
    past: Sequence[tuple[tuple[str, ...], Spend]] = ()
    """What earlier starts of the run spent on it, and in which blocks."""
    tells: bool = False
    """Whether the trace has the candidates that leave each node, which may be long."""

    @cached_property
    def first_to_end(self) -> Scope | None:
        """The scope with the earliest deadline, if there is one."""
        timed = [scope for scope in self.scopes if scope.deadline is not None]
        return min(timed, key=lambda scope: scope.deadline or 0.0, default=None)

    def refuse(self, failed: Failed, span: Span) -> None:
        """Notes that the whole question could not have all that it asked for.

        Raises RunError where a budget says that this is an error.
        """
        self.refusals.append(failed)
        is_error = any(scope.limit.on_exhausted == "error" for scope in self.scopes)
        if is_error and failed.kind is FailureKind.BUDGET:
            raise RunError(errors.BudgetExhausted(span=span, reason=failed.reason))

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The blocks with budgets of their own that it is in."""
        return tuple(scope.block for scope in self.scopes if scope.block)

    def within(self, block: str, limit: Budget, now: float, base: Spend) -> Query:
        """The same for a block with a budget of its own."""
        deadline = None if limit.seconds is None else now + limit.seconds
        spent = sum((spend for blocks, spend in self.past if block in blocks), NOTHING)
        scope = Scope("this block", limit, spent, deadline=deadline, block=block, base=base)
        return replace(self, scopes=(*self.scopes, scope), ample=self.ample and not scope.limited)


@dataclass(frozen=True)
class Batch:
    """Some samples of one ask: identities and what they have in common."""

    lane: Lane
    node: Node
    query: Query
    request: Request
    ids: tuple[SampleId, ...]
    urgency: int
    path: tuple[int, ...]
    """The turns of the loops around."""

    def __bool__(self) -> bool:
        return bool(self.ids)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The identities as they stand in the journal."""
        return tuple(one.key for one in self.ids)

    @cached_property
    def where(self) -> dict[str, str]:
        """How events name the place."""
        where = {"query": self.query.id, "node": self.node.id, "model": self.lane.model.name}
        return where | {"path": ".".join(map(str, self.path))} if self.path else where

    def part(self, ids: tuple[SampleId, ...]) -> Batch:
        """The same for some of the samples."""
        if len(ids) == len(self.ids):
            return self
        return Batch(self.lane, self.node, self.query, self.request, ids, self.urgency, self.path)

    def only(self, keys: Container[str]) -> Batch:
        """The same for those samples."""
        return self.part(tuple(one for one in self.ids if one.key in keys))

    def without(self, gone: Container[str]) -> Batch:
        """The same for the samples that are not `gone`."""
        return self.part(tuple(one for one in self.ids if one.key not in gone))

    def requests(self) -> list[Batch]:
        """One for each stretch of indices without a gap, as a server counts seeds on; singly where it takes no `n`."""
        if len(self.ids) == 1:
            return [self]
        together = self.lane.backend.able.n
        starts = [
            i for i, one in enumerate(self.ids) if not (together and i and one.index == self.ids[i - 1].index + 1)
        ]
        return [self.part(self.ids[start:end]) for start, end in pairwise([*starts, len(self.ids)])]

    @property
    def single(self) -> Spend:
        """What one sample may cost, sent once."""
        return worst_case(self.request.messages, self.request.sampling, self.lane.model.shared.price)

    @property
    def worst(self) -> Spend:
        """What one sample may cost: a request that is hedged may be sent twice."""
        return self.single * (1 if self.lane.model.shared.hedge is None else 2)
