"""Forecast: what is known of a search before anything is bought."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from archc.bench.judging import Judge
from archc.calls import Spend
from archc.searching.order import Order
from archc.values import Interval

LOOKED_AT: Final = 200
"""Architectures up to which all are planned to say what one costs."""
_DRAWN: Final = 60


def forecast(order: Order) -> dict[str, Any]:
    """The size of the space, what an item costs at least and at most, and what the budget is enough for; JSON-ready.

    Raises SpecError if nothing can be searched.
    """
    points = order.space.count()
    is_small = points is not None and points <= LOOKED_AT
    rng = Random(order.seed)
    looked_at = list(order.space.valid()) if is_small else order.space.covering(rng, LOOKED_AT)
    if not is_small:  # the least and the most that one costs lie at no option, but between several
        looked_at += [order.space.sample(rng) for _ in range(_DRAWN)]
    allowed = [point for point in looked_at if order.domain.allows(point)]
    plans = [plan for point in allowed if (plan := order.plan(point))]
    seen, held_out = order.split
    turns = [1 + len(item.turns) for item in seen]
    items = [_an_item(plan.cost, Interval(min(turns), max(turns)), order.judge) for plan in plans]
    return {
        "points": points,
        "allowed": len(allowed) if is_small else None,
        "looked_at": len(looked_at),
        "calls_per_item": [min((a.calls for a, _ in items), default=0), max((b.calls for _, b in items), default=0)],
        "items": {"search": len(seen), "held_out": len(held_out)},
        "judged": order.judge is not None,
        "affords": _affords(order, items, len(seen)),
        "sampler": order.sampler,
    }


def _an_item(cost: Any, turns: Interval, judge: Judge | None) -> tuple[Spend, Spend]:
    """The least and the most of an item; of a judge its calls, since what it reads is not known before."""
    judged = judge.calls if judge else Interval(0, 0)
    usd = cost.usd or (0.0, 0.0)
    least = Spend(cost.calls.lo, cost.prompt_tokens.lo, cost.completion_tokens.lo, usd[0])
    most = Spend(cost.calls.hi, cost.prompt_tokens.hi, cost.completion_tokens.hi, usd[1])
    return least * turns.lo + Spend(judged.lo), most * turns.hi + Spend(judged.hi)


def _affords(order: Order, costs: list[tuple[Spend, Spend]], items: int) -> dict[str, list[int]]:
    """By limit, how many architectures could be measured on all items of the search: if all were dear, if all cheap."""
    if not order.budget or not costs:
        return {}
    limits = order.budget.model_dump(exclude_none=True, include=set(_UNITS))
    found = {}
    for unit, limit in limits.items():
        room = limit * (1 - order.reserve)
        dear = max(float(getattr(most, _UNITS[unit])) for _, most in costs) * items
        cheap = min(float(getattr(least, _UNITS[unit])) for least, _ in costs) * items
        found[unit] = [int(room // dear) if dear else 0, int(room // max(cheap, 1e-9)) if cheap else 0]
    return found


_UNITS: Final = {
    "calls": "calls",
    "tokens": "tokens",
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "usd": "usd",
}
