"""Forecast: what is known of a search before anything is bought."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from archc.calls import Spend
from archc.searching.order import Order

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
    calls = [plan.cost.calls for plan in plans]
    return {
        "points": points,
        "allowed": len(allowed) if is_small else None,
        "looked_at": len(looked_at),
        "calls_per_item": [min(c.lo for c in calls), max(c.hi for c in calls)] if calls else [0, 0],
        "items": {"search": len(seen), "held_out": len(held_out)},
        "affords": _affords(order, [(_most(plan.cost), _least(plan.cost)) for plan in plans], len(seen)),
        "sampler": order.sampler,
    }


def _most(cost: Any) -> Spend:
    usd = cost.usd[1] if cost.usd else 0.0
    return Spend(cost.calls.hi, cost.prompt_tokens.hi, cost.completion_tokens.hi, usd)


def _least(cost: Any) -> Spend:
    usd = cost.usd[0] if cost.usd else 0.0
    return Spend(cost.calls.lo, cost.prompt_tokens.lo, cost.completion_tokens.lo, usd)


def _affords(order: Order, costs: list[tuple[Spend, Spend]], items: int) -> dict[str, list[int]]:
    """By limit, how many architectures could be measured on all items of the search: if all were dear, if all cheap."""
    if not order.budget or not costs:
        return {}
    limits = order.budget.model_dump(exclude_none=True, include=set(_UNITS))
    found = {}
    for unit, limit in limits.items():
        room = limit * (1 - order.reserve)
        dear = max(float(getattr(most, _UNITS[unit])) for most, _ in costs) * items
        cheap = min(float(getattr(least, _UNITS[unit])) for _, least in costs) * items
        found[unit] = [int(room // dear) if dear else 0, int(room // max(cheap, 1e-9)) if cheap else 0]
    return found


_UNITS: Final = {
    "calls": "calls",
    "tokens": "tokens",
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "usd": "usd",
}
