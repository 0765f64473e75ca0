"""Confirm: the best trials, and the baselines at equal spend, on items that the search has not seen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from archc.bench import measure as bench
from archc.bench.baselines import baselines
from archc.bench.compare import Comparison, compare
from archc.bench.data import Item, Selection
from archc.bench.folder import Measured, read_folder
from archc.bench.metrics.intervals import Estimate, bootstrap, paired_difference, wilson
from archc.bench.summary import Record
from archc.calls import NOTHING, Spend
from archc.planning.plan import Plan
from archc.runtime.engine import Engine
from archc.searching.folder import CONFIRM, Folder
from archc.searching.leaderboard import front, ranked
from archc.searching.objective import Aim, of_item, static_figures
from archc.searching.order import LEAST_ITEMS, Order
from archc.searching.trial import Course, Trial

SINGLES = "singles"
MARGIN = 1.15
"""How much more than expected the confirmation is planned to cost."""


@dataclass(frozen=True)
class Confirmed:
    """A trial on held-out items."""

    trial: Trial
    measured: Measured
    seen: Estimate
    """The goal on the items of the search, which chose it."""
    held_out: Estimate
    """The goal on items that played no part in that."""

    @property
    def optimism(self) -> float:
        """How much better it looked than it is: the winner's curse, and chance."""
        return self.seen.value - self.held_out.value


@dataclass(frozen=True)
class Beside:
    """The winner beside a baseline."""

    name: str
    against: Comparison
    lead: Estimate
    """How much more of the first goal the winner has, by item; a goal that is to be small counts the other way."""


@dataclass(frozen=True)
class Verdict:
    """What the confirmation came to."""

    items: int
    confirmed: tuple[Confirmed, ...]
    """The first is the winner."""
    rivals: tuple[Beside, ...]
    """The winner beside each baseline."""

    @property
    def lost_to(self) -> tuple[str, ...]:
        """The baselines that the winner is not better than, for all that was measured."""
        return tuple(rival.name for rival in self.rivals if rival.lead.low <= 0)


async def confirmed(
    order: Order, folder: Folder, engine: Engine, course: Course, trials: Sequence[Trial], say: Callable[[str], None]
) -> Verdict | None:
    """Measures the best trials and the baselines on held-out items; None if there is nothing, or no budget, for it.

    Raises RunError if nothing can go on.
    """
    several = len(order.aim.goals) > 1
    contenders = (front(trials, order.aim) if several else ranked(trials, order.aim))[: order.top]
    if not contenders:
        return None
    singles = await _singles(order, course, contenders[0])
    assert engine.journal
    before = [await engine.journal.spent(f"{folder.id}/{purpose}/") for purpose in ("search", SINGLES)]
    items = order.split[1][: _affordable(order, sum(before, NOTHING), contenders, singles)]
    if len(items) < LEAST_ITEMS or engine.stopped:
        return None

    async def measured(one: bench.Order) -> bench.Outcome:
        say(f"held-out: {one.folder.relative_to(order.folder)}")
        return await bench.measure(one, engine=engine)

    orders = [_order(order, folder, trial.plan, f"trial-{trial.number}", items) for trial in contenders]
    done: list[Confirmed] = []
    for trial, one in zip(contenders, orders, strict=True):
        outcome = await measured(one)
        if outcome.stopped or outcome.batch.exhausted:
            break
        run = read_folder(one.folder)
        held_out = _estimate(list(run.records.values()), trial, order)
        done.append(Confirmed(trial, run, _estimate(trial.records, trial, order), held_out))
    if not done:
        return None
    if not several:
        winner = _winner(done, order)
        done.sort(key=lambda one: one is not winner)
    at = next(one for trial, one in zip(contenders, orders, strict=True) if trial is done[0].trial)
    rivals = [rival async for rival in _rivals(order, singles, done[0], at, measured)] if not engine.stopped else []
    return Verdict(len(items), tuple(done), tuple(rivals))


async def _rivals(
    order: Order,
    singles: Sequence[Trial],
    winner: Confirmed,
    at: bench.Order,
    measured: Callable[[bench.Order], Awaitable[bench.Outcome]],
) -> AsyncIterator[Beside]:
    """The baselines on the same items, those for which the budget was enough."""
    short: set[str] = set()
    asked: dict[str, bench.Order] = {}

    def compiled(pipeline: str) -> Plan:
        return order.compiled(winner.trial.point, pipeline)

    def beside(name: str, one: bench.Order) -> Beside:
        run = read_folder(one.folder)
        against = compare(run, winner.measured)
        if order.aim.goals[0].text == "accuracy":
            return Beside(name, against, against.difference)
        return Beside(name, against, _lead((winner.measured, winner.trial.plan), (run, one.plan), order))

    async def noted(one: bench.Order) -> bench.Outcome:
        asked[one.folder.name] = one
        outcome = await measured(one)
        if outcome.stopped or outcome.batch.exhausted:
            short.add(one.folder.name)
        return outcome

    model = ""
    if len(singles) > 1:  # else the greedy baseline is just that
        single = max(singles, key=lambda trial: sum(record["correct"] for record in trial.records))
        [model] = single.plan.graph.asked
        one = replace(at, plan=single.plan, folder=at.folder / "baselines" / "best-single-model")
        await noted(one)
        if not short:
            yield beside(f"best single model ({model})", one)
    records = winner.measured.records.values()
    tokens = sum(record["tokens"] for record in records) / len(records)
    async for name, _ in baselines(at, tokens, compiled, noted, model):
        if name not in short:
            yield beside(name, asked[name])


async def _singles(order: Order, course: Course, winner: Trial) -> list[Trial]:
    """Each model's single greedy answers on the items of the search."""
    trials = []
    for model in winner.plan.graph.models:
        plan = order.compiled(winner.point, json.dumps([{"generate": {"model": model.name, "temperature": 0.0}}]))
        trial = Trial(0, winner.point, plan, order.seed, purpose=SINGLES)
        if await course.measure(trial, len(order.split[0])):
            trials.append(trial)
    return trials


def _order(order: Order, folder: Folder, plan: Plan, name: str, items: Sequence[Item]) -> bench.Order:
    data = replace(order.data, items=tuple(items))
    path = order.folder / CONFIRM / name
    return bench.Order(
        plan,
        order.task,
        data,
        Selection(order.selection.slice),
        path,
        order.version,
        order.seed,
        order.parallel,
        journal=order.journal,
        within=f"{folder.id}/confirm/",
        judge=order.judge,
    )


def _affordable(order: Order, spent: Spend, contenders: Sequence[Trial], singles: Sequence[Trial]) -> int:
    """On how many held-out items what is left of the budget can confirm, by what the items of the search cost.

    `spent` is what came before the confirmation, whether that began already or not: it is the same after a restart.
    """
    most = len(order.split[1]) if order.confirm is None else order.confirm
    if not order.budget:
        return most
    costs = [_an_item(trial) for trial in contenders]
    needs = [sum(column) for column in zip(*costs, strict=True)]
    if singles:
        # a vote and a best-of-n take as many tokens as the dearest that may win, in calls like the cheapest single one
        one = min((_an_item(trial) for trial in singles), key=lambda cost: cost[_TOKENS])
        samples = max(cost[_TOKENS] for cost in costs) / max(1.0, one[_TOKENS])
        needs = [need + part * (2 * samples + len(singles)) for need, part in zip(needs, one, strict=True)]
    limit = order.budget
    rooms = (
        (limit.calls, spent.calls),
        (limit.prompt_tokens, spent.prompt),
        (limit.completion_tokens, spent.completion),
        (limit.usd, spent.usd),
        (limit.tokens, spent.tokens),
    )
    fits = [
        int((most_of_it - gone) / (need * MARGIN))
        for (most_of_it, gone), need in zip(rooms, needs, strict=True)
        if most_of_it is not None and need
    ]
    return max(0, min([most, *fits]))


_TOKENS = 4


def _an_item(trial: Trial) -> tuple[float, ...]:
    """What an item costs, with its judge: calls, prompt tokens, completion tokens, USD, tokens."""
    cost, items = trial.cost + trial.judged, trial.items
    whole = (cost.calls, cost.prompt, cost.completion, cost.usd, cost.tokens)
    return tuple(amount / items for amount in whole)


def _values(records: Sequence[Record], plan: Plan, aim: Aim) -> list[float]:
    """The first goal on each item, as it is written."""
    static = static_figures(plan)
    goal = aim.goals[0]
    return [goal.sign * goal.value(of_item(record) | static) for record in records]


def _estimate(records: Sequence[Record], trial: Trial, order: Order) -> Estimate:
    """The first goal with its interval of 95 %."""
    values = _values(records, trial.plan, order.aim)
    if set(values) <= {0.0, 1.0}:
        return wilson(round(sum(values)), len(values))
    return bootstrap(values, order.seed)


def _winner(done: Sequence[Confirmed], order: Order) -> Confirmed:
    """The first of the leaderboard; another one where the held-out items say for certain that it is better.

    A plain choice by the held-out items would make these a part of the search. With k others, each is asked at a level
    of 1 − 0.05/k.
    """
    first = done[0]
    level = 1 - 0.05 / max(1, len(done) - 1)
    best, lead = first, 0.0
    for other in done[1:]:
        gain = _lead((other.measured, other.trial.plan), (first.measured, first.trial.plan), order, level)
        if gain.low > 0 and gain.value > lead:
            best, lead = other, gain.value
    return best


def _lead(one: tuple[Measured, Plan], other: tuple[Measured, Plan], order: Order, level: float = 0.95) -> Estimate:
    """How much more of the first goal one has than the other, on the items that both answered."""
    ids = [id for id in one[0].records if id in other[0].records]
    sign = order.aim.goals[0].sign
    sides = ((plan, [run.records[id] for id in ids]) for run, plan in (one, other))
    ours, theirs = ([sign * value for value in _values(records, plan, order.aim)] for plan, records in sides)
    return paired_difference(ours, theirs, order.seed, level)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """A JSON-ready form."""
    return {
        "items": verdict.items,
        "confirmed": [
            {
                "trial": one.trial.number,
                "folder": one.measured.name,
                "search": asdict(one.seen),
                "held_out": asdict(one.held_out),
                "optimism": one.optimism,
            }
            for one in verdict.confirmed
        ],
        "baselines": {one.name: {**one.against.as_json(), "lead": asdict(one.lead)} for one in verdict.rivals},
        "not_better_than": list(verdict.lost_to),
    }
