"""Baselines: the same model without an architecture, for the same tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from archc.bench.compare import Comparison, compare
from archc.bench.folder import read_folder
from archc.bench.measure import Order, Outcome
from archc.planning.plan import Plan

NEAR: Final = 0.1
"""How far the tokens of a baseline may be from those of the architecture, as a share, before it is tried again."""
MOST: Final = 512
"""Samples of self-consistency, at most."""


_OF_THE_SPEC: Final = {"n", "min_valid", "use_tests", "prompt"}
"""What a `generate` has from the steps around it; the rest is how its model is asked."""


def baselines(
    order: Order, tokens: float, compiled: Callable[[str], Plan], measured: Callable[[Order], Outcome]
) -> Iterator[tuple[str, Comparison]]:
    """One greedy answer, then self-consistency with as many samples as cost `tokens` an item; each against the order.

    `compiled` makes a plan of the order's spec with another pipeline. What samples they share comes from the journal.
    A spec whose answers come from no `generate`, but from an op of another package, has none.
    """
    drawn = next((node.op for node in order.plan.graph.every if node.op.name == "generate"), None)
    if drawn is None:
        return
    generate = drawn.model_dump(mode="json", exclude_defaults=True, exclude=_OF_THE_SPEC)

    def run(name: str, n: int, steps: list[Any], **changed: Any) -> tuple[str, Comparison]:
        pipeline = [{"generate": {**generate, "n": n, **changed}}, *steps]
        folder = order.folder / "baselines" / name
        measured(replace(order, plan=compiled(json.dumps(pipeline)), folder=folder))
        return name, compare(read_folder(folder), read_folder(order.folder))

    def voted(n: int) -> tuple[str, Comparison]:
        return run(f"self-consistency@{n}", n, [{"extract": order.task.extract}, "vote"])

    greedy = run("greedy", 1, [], temperature=0.0)
    yield greedy
    if not order.task.extract or not greedy[1].tokens[0]:
        return
    n = _samples(tokens / greedy[1].tokens[0])
    best = voted(n)
    if abs(best[1].tokens[0] - tokens) > NEAR * tokens and (better := _samples(n * tokens / best[1].tokens[0])) != n:
        best = min(best, voted(better), key=lambda one: abs(one[1].tokens[0] - tokens))
    yield best


def _samples(wanted: float) -> int:
    return max(1, min(MOST, round(wanted)))
