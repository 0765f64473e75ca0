"""Expected: what a plan will probably cost and how long it will take, by what earlier questions came to.

Bounds hold always; these are means. Where the plan is not the one that was seen then, its bounds correct it: a step
that must now draw 16 is expected to draw 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archc.ir.control import Control
from archc.ir.graph import Model
from archc.ir.region import Node, Region
from archc.ir.shape import Shape
from archc.planning.flops import eflops
from archc.planning.learned import Experience, Seen, longest
from archc.planning.plan import NodePlan, Plan
from archc.values import Interval


@dataclass(frozen=True, slots=True)
class Mean:
    """Of one question, on average."""

    calls: float = 0.0
    prompt: float = 0.0
    completion: float = 0.0
    usd: float = 0.0
    eflops: float | None = 0.0
    """None where a model's shape is not known."""

    @property
    def tokens(self) -> float:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: Mean) -> Mean:
        return Mean(
            self.calls + other.calls,
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.usd + other.usd,
            None if self.eflops is None or other.eflops is None else self.eflops + other.eflops,
        )


@dataclass(frozen=True)
class Expectation:
    """What is expected of a plan."""

    nodes: Mapping[str, Mean]
    """Of each node by itself, without what is in its blocks; only of those of which something is known."""
    total: Mean
    seconds: float
    """From the question to its answer, when no call has to wait for a place."""
    unknown: tuple[str, ...]
    """Nodes that may ask, but of which nothing is known: they count as nothing."""

    @property
    def dearest(self) -> str:
        """The node that costs most: in USD where there are prices, else in tokens; empty if none costs anything."""
        costs = {name: (mean.usd, mean.tokens) for name, mean in self.nodes.items() if mean.tokens}
        return max(costs, key=lambda name: costs[name]) if costs else ""

    def share(self, node: str) -> float:
        """Its part of the cost, in the same measure."""
        mean, total = self.nodes[node], self.total
        return mean.usd / total.usd if total.usd else mean.tokens / total.tokens if total.tokens else 0.0

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        nodes = {name: {**_figures(mean), "share": self.share(name)} for name, mean in self.nodes.items()}
        whole = {**_figures(self.total), "seconds": self.seconds, "dearest": self.dearest}
        return {"nodes": nodes, "total": whole, "unknown": list(self.unknown)}


def _figures(mean: Mean) -> dict[str, float | None]:
    tokens = {"prompt_tokens": mean.prompt, "completion_tokens": mean.completion, "tokens": mean.tokens}
    return {"calls": mean.calls, **tokens, "usd": mean.usd, "eflops": mean.eflops}


def expected(plan: Plan, experience: Experience) -> Expectation:
    """What a question will probably come to."""
    known = {node.id: node for node in plan.nodes}
    own = {node.id: node for node in plan.graph.every if node.op.models}
    means: dict[str, Mean] = {}
    for id, node in own.items():
        if id in known and (seen := experience.nodes.get(id)) and seen.calls:
            model = plan.graph.model(next(iter(node.op.models.values())))
            means[id] = _mean(known[id], seen, experience.questions, model)
    unknown = tuple(id for id in own if id in known and id not in means and known[id].cost.calls.hi)
    seconds = _Seconds(known, means, experience).of(plan.graph.body, Shape(question=plan.question_tokens))
    return Expectation(means, sum(means.values(), Mean()), seconds, unknown)


def _mean(plan: NodePlan, seen: Seen, questions: int, model: Model) -> Mean:
    calls = _within(plan.cost.calls, seen.calls / questions)
    prompt, completion = calls * seen.prompt / seen.calls, calls * seen.completion / seen.calls
    price, shape = model.shared.price, model.shared.shape
    usd = (prompt * price.prompt + completion * price.completion) / 1e6 if price else 0.0
    each = eflops(shape, prompt / calls, completion / calls) if shape and calls else None
    return Mean(calls, prompt, completion, usd, calls * each if each is not None else None)


def _within(interval: Interval, value: float) -> float:
    return min(max(value, interval.lo), interval.hi)


class _Seconds:
    """How long regions take: the longest path through their nodes."""

    def __init__(self, plans: Mapping[str, NodePlan], means: Mapping[str, Mean], experience: Experience) -> None:
        self._plans = plans
        self._means = means
        self._profile = experience

    def of(self, region: Region, arrives: Shape) -> float:
        """Seconds of one run."""
        flow, until = region.flow(arrives), dict[str, float]()
        for node in region.nodes:
            start = max((until[name] for name in node.reads if name in until), default=0.0)
            until[node.id] = start + self._node(node, flow[node.id][0])
        return max(until.values(), default=0.0)

    def _node(self, node: Node, before: Shape) -> float:
        op = node.op
        if isinstance(op, Control):
            blocks = [self.of(op.blocks[visit.block], visit.arrives) for visit in op.visits(before)]
            span = op.waits([Interval.exactly(round(seconds * _MS)) for seconds in blocks], before)
            return (span.lo + self._place(node) * (span.hi - span.lo)) / _MS
        seen, mean = self._profile.nodes.get(node.id), self._means.get(node.id)
        if not seen or not mean or not seen.seconds:
            return 0.0
        rounds = max(1.0, self._plans[node.id].depth.lo)
        visits = max(1.0, seen.visits / self._profile.questions)
        return rounds * longest(seen.seconds, max(1.0, mean.calls / visits / rounds))

    def _place(self, node: Node) -> float:
        """Where between the least and the most of its calls a node with blocks is expected, from 0 to 1."""
        calls = self._plans[node.id].cost.calls if node.id in self._plans else Interval(0, 0)
        inner = sum(self._means[one.id].calls for one in _inside(node) if one.id in self._means)
        return (_within(calls, inner) - calls.lo) / (calls.hi - calls.lo) if calls.hi > calls.lo else 0.0


_MS = 1000.0


def _inside(node: Node) -> list[Node]:
    return [one for block in node.op.blocks.values() for one in block.walk()]
