"""Baselines: the same model without an architecture, for the same tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from archc.bench.compare import Comparison, compare
from archc.bench.folder import read_folder
from archc.bench.measure import Order, Outcome
from archc.ir.graph import Graph
from archc.ir.op import Op
from archc.ir.shape import Shape
from archc.planning.plan import Plan
from archc.values import OF_CANDIDATES, Interval

NEAR: Final = 0.1
"""How far the tokens of a baseline may be from those of the architecture, as a share, before it is tried again."""
MOST: Final = 512
"""Samples of a baseline, at most."""

_OF_THE_SPEC: Final = {"n", "min_valid", "use_tests", "prompt"}
"""What a `generate` has from the steps around it; the rest is how its model is asked."""

Rival = tuple[str, Comparison]
"""A baseline by name, and the order against it."""


async def baselines(
    order: Order,
    tokens: float,
    compiled: Callable[[str], Plan],
    measured: Callable[[Order], Awaitable[Outcome]],
    model: str = "",
) -> AsyncIterator[Rival]:
    """One greedy answer; self-consistency and best-of-n with as many samples as cost `tokens` an item.

    Each against the order, by its first `generate`, or the first of the `model`. `compiled` makes a plan of the order's
    spec with another pipeline. What samples they share comes from the journal. A spec whose answers come from no
    `generate`, but from an op of another package, has none.
    """
    drawn = [node.op for node in order.plan.graph.every if node.op.name == "generate"]
    if not drawn:
        return
    chosen = next((op for op in drawn if model in op.models.values()), drawn[0])
    generate = chosen.model_dump(mode="json", exclude_defaults=True, exclude=_OF_THE_SPEC)
    generate["model"] = model or generate["model"]
    score = _scoring(order.plan.graph, generate["model"])

    async def run(name: str, n: int, steps: list[Any], **changed: Any) -> Rival:
        pipeline = [{"generate": {**generate, "n": n, **changed}}, *steps]
        folder = order.folder / "baselines" / name
        await measured(replace(order, plan=compiled(json.dumps(pipeline)), folder=folder))
        return name, compare(read_folder(folder), read_folder(order.folder))

    async def voted(n: int) -> Rival:
        return await run(f"self-consistency@{n}", n, [{"extract": order.task.extract}, "vote"])

    async def scored(n: int) -> Rival:
        return await run(f"best-of-n@{n}", n, [{"score": score}, {"select": {"by": "score"}}])

    greedy = await run("greedy", 1, [], temperature=0.0)
    yield greedy
    if not greedy[1].tokens[0]:
        return
    n = _samples(tokens / greedy[1].tokens[0])
    if order.task.extract:
        yield await _matched(voted, n, tokens)
    if n > 1:  # where one sample costs as much as the spec, there is nothing to choose from
        yield await _matched(scored, max(2, n // 4), tokens, least=2)  # few at first: how dear the judge is shows then


async def _matched(run: Callable[[int], Awaitable[Rival]], n: int, tokens: float, least: int = 1) -> Rival:
    """The baseline with so many samples, or with more or fewer where that is nearer to the tokens."""
    best = await run(n)
    cost = best[1].tokens[0]
    if cost and abs(cost - tokens) > NEAR * tokens and (better := _samples(n * tokens / cost, least)) != n:
        best = min(best, await run(better), key=lambda one: abs(one[1].tokens[0] - tokens))
    return best


def _samples(wanted: float, least: int = 1) -> int:
    return max(least, min(MOST, round(wanted)))


def _scoring(graph: Graph, model: str) -> dict[str, Any]:
    """How best-of-n judges: as the spec's own last judge does, or by its model; without one, by the generator."""
    judge = next((node.op for node in reversed(graph.every) if _judges(node.op)), None)
    if judge and judge.name == "score":
        return judge.model_dump(mode="json", exclude_defaults=True)
    return {"model": next(iter(judge.models.values())) if judge else model}


_KNOWN: Final = Shape(size=Interval.exactly(2), facets=OF_CANDIDATES, tokens=1)


def _judges(op: Op) -> bool:
    """Whether it asks a model about answers and writes no new ones, of which nothing would be known."""
    return bool(op.models) and op.reads_candidates and not op.blocks and op.shape(_KNOWN).facets >= OF_CANDIDATES
