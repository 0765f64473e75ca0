"""Thrift: what a question may spend now so that all that must come still has room (`on_exhausted: degrade`)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from archc.calls import NOTHING, Spend
from archc.planning.cost import Cost
from archc.planning.plan import Plan
from archc.runtime.budget import Scope


class Thrift:
    """Counts with the worst case of every step that must still run, by the plan; an `optional` one need not."""

    def __init__(self, plan: Plan, scopes: Sequence[Scope]) -> None:
        self._scopes = [scope for scope in scopes if scope.limit.on_exhausted == "degrade"]
        outer = [node for node in plan.nodes if not node.level]
        self._costs = {node.id: _most(node.cost) for node in outer}
        self._to_come = {node.id: self._costs[node.id] for node in outer if node.op != "optional"}

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def done(self, node: str) -> None:
        """A step has ended, and what it did not spend is free."""
        self._to_come.pop(node, None)

    def has_room(self, node: str) -> bool:
        """Whether a step may be run beside all that must come."""
        return self._fits(self._costs.get(node, NOTHING) + self._rest(node))

    def samples(self, node: str, each: Spend, n: int) -> int:
        """How many of `n` samples a step may draw, one at least. What comes after them costs in proportion."""
        rest = self._rest(node)

        def short(number: int) -> bool:
            return not self._fits(each * number + _part(rest, number / n))

        return max(1, bisect_left(range(1, n + 1), True, key=short))

    def _rest(self, node: str) -> Spend:
        return sum((cost for id, cost in self._to_come.items() if id != node), NOTHING)

    def _fits(self, more: Spend) -> bool:
        return not any(scope.lacks(scope.reserved + more) for scope in self._scopes)


def is_ample(plan: Plan, scopes: Sequence[Scope]) -> bool:
    """Whether all that a plan may do has room in the budgets; in one that other questions share, nobody knows."""
    hedged = any(model.shared.hedge is not None for model in plan.graph.models)
    most = _most(plan.cost) * (2 if hedged else 1)
    return not any(scope.limited and (scope.shared or scope.lacks(most)) for scope in scopes)


def _part(spend: Spend, share: float) -> Spend:
    calls, prompt, completion = (math.ceil(share * n) for n in (spend.calls, spend.prompt, spend.completion))
    return Spend(calls, prompt, completion, share * spend.usd)


def _most(cost: Cost) -> Spend:
    return Spend(cost.calls.hi, cost.prompt_tokens.hi, cost.completion_tokens.hi, cost.usd[1] if cost.usd else 0.0)
