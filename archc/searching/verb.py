"""Verb: a whole search, from the first proposal to the confirmed winner."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any, Protocol

from archc import api, errors
from archc.bench.folder import write_json
from archc.bench.grading import Grading
from archc.bench.judging import Judging
from archc.bench.summary import told, troubles
from archc.calls import Spend
from archc.diagnostics import SpecError
from archc.planning.plan import Plan
from archc.runtime.budget import Scope
from archc.runtime.engine import Engine
from archc.searching import confirm
from archc.searching.asked import Asked, ordered
from archc.searching.confirm import Verdict, confirmed
from archc.searching.folder import STUDY, SUMMARY, Folder
from archc.searching.leaderboard import ranked
from archc.searching.mirror import write_study
from archc.searching.order import Order
from archc.searching.samplers import Sampler, Setting, sampler, sampler_class
from archc.searching.study import Study
from archc.searching.trial import Course, Trial
from archc.source import Source
from archc.spec.model import Budget
from archc.spec.validation import as_options


class Watch(Protocol):
    """Who looks on."""

    def began(self, order: Order, folder: Folder, spent: Spend) -> None:
        """It begins, or goes on after so much was spent."""

    def tried(self, trial: Trial, study: Study) -> None:
        """A trial has ended."""

    def say(self, text: str) -> None:
        """Something is about to be done."""

    async def working(self, work: Coroutine[Any, Any, Found], engine: Engine) -> Found:
        """Waits for the work, and for whoever stops it."""


@dataclass(frozen=True)
class Found:
    """How a search ended."""

    trials: tuple[Trial, ...]
    best: Trial | None
    """The winner; without a confirmation the first of the leaderboard."""
    verdict: Verdict | None
    summary: dict[str, Any]
    stopped: bool


class _Quiet:
    """Watches and says nothing."""

    def began(self, order: Order, folder: Folder, spent: Spend) -> None:
        """Says nothing."""

    def tried(self, trial: Trial, study: Study) -> None:
        """Says nothing."""

    def say(self, text: str) -> None:
        """Says nothing."""

    async def working(self, work: Coroutine[Any, Any, Found], engine: Engine) -> Found:
        """Waits for the work."""
        return await work


async def search(space: str | Path | Source, **options: Any) -> Found:
    """Finds the best architecture of a space; `options` are those of `archc search`, as `Asked` describes them.

    The same call goes on where an earlier one ended. Raises SpecError for what cannot be searched and for options that
    are none, RunError if nothing can go on.
    """
    source = space if isinstance(space, Source) else api.read(space)
    order, _ = ordered(source, as_options(Asked, options), version("archc"))
    return await searched(order, _Quiet())


def search_sync(space: str | Path | Source, **options: Any) -> Found:
    """`search` for programs without an event loop."""
    return api.run_loop(search(space, **options))


async def searched(order: Order, watch: Watch) -> Found:
    """Searches, confirms, and writes all of it into the order's folder; goes on where an earlier start ended.

    Raises SpecError for what cannot be searched, RunError if nothing can go on.
    """
    if order.budget is None and order.trials is None:
        raise SpecError(errors.NoSearchLimit())
    engine = api.engine(seed=order.seed, journal=order.journal, budget=order.budget)
    setting = Setting(order.domain, order.seed, len(order.aim.goals), about=_about(order))
    sampler(order.sampler, setting)  # whatever is wrong is said before anything is written
    if order.domain.fresh(Random(order.seed), ()) is None:
        limits = ", ".join(one.text for one in order.aim.constraints)
        problem, hint = "no point meets the constraints", f"loosen one: {limits}"
        raise SpecError(errors.NothingToSearch(problem=problem, hint=hint))
    advice = _advice_plan(order)
    with closing(Folder(order)) as folder:
        proposer = sampler(order.sampler, replace(setting, advise=_adviser(order, engine, folder, advice)))
        judging = Judging(order.judge, f"{folder.id}/search/judge", engine) if order.judge else None
        async with engine, Grading(order.task, judging) as grading:
            return await watch.working(_searched(order, folder, engine, grading, proposer, watch), engine)


async def _searched(
    order: Order, folder: Folder, engine: Engine, grading: Grading, proposer: Sampler, watch: Watch
) -> Found:
    assert engine.journal
    began = engine.world.clock()
    engine.phase = Scope("the search", _part(order.budget, 1 - order.reserve), shared=True) if order.budget else None
    before = await engine.journal.spent(folder.id)
    engine.spent_before(before, folder.seconds)
    watch.began(order, folder, before)
    async with Course(engine, grading, order.split[0], folder.output, folder.id, order.parallel) as course:
        study = Study(order, proposer, course, engine)

        def tried(trial: Trial) -> None:
            folder.trials(study.trials)
            folder.stamp(engine.world.clock() - began)
            watch.tried(trial, study)

        try:
            ended = await study.run(tried)
            searched = await engine.journal.spent(f"{folder.id}/search/")
            engine.phase = None
            verdict = (
                None if engine.stopped else await confirmed(order, folder, engine, course, study.trials, watch.say)
            )
        finally:
            folder.stamp(engine.world.clock() - began)
        spent = await engine.journal.spent(folder.id)
        summary = _summary(order, study, verdict, ended, searched, spent)
        winner = verdict.confirmed[0].trial if verdict else study.best
        folder.specs(study.trials, winner, [summary["said"][0]])
        write_json(order.folder / SUMMARY, summary)
        write_study(order.folder / STUDY, order.source.name, order.aim, order.space.holes, study.trials)
    return Found(tuple(study.trials), winner, verdict, summary, engine.stopped)


def _part(budget: Budget, share: float) -> Budget:
    """A share of every limit."""
    limits = budget.model_dump(exclude_none=True)
    parts = {
        unit: value
        if isinstance(value, str)
        else max(1, int(value * share))
        if isinstance(value, int)
        else value * share
        for unit, value in limits.items()
    }
    return Budget.model_validate(parts)


def _about(order: Order) -> str:
    goals = ", ".join(goal.shown for goal in order.aim.goals)
    limits = "".join(f"; {one.text}" for one in order.aim.constraints)
    return f"{order.task.name}: {order.task.about}\n{goals}{limits}".strip()


def _advice_plan(order: Order) -> Plan | None:
    """How the model is asked that the order names, where the sampler asks one. Raises SpecError if there is none."""
    if not sampler_class(order.sampler).takes_advice:
        return None
    point = order.domain.sample(Random(order.seed))
    if not order.adviser:
        known = order.plan(point)
        model = next(iter(known.graph.models)).name if known else "MODEL"
        raise SpecError(errors.NoAdviser(sampler=order.sampler, model=model))
    return order.compiled(point, json.dumps([{"generate": {"model": order.adviser}}]))


def _adviser(order: Order, engine: Engine, folder: Folder, plan: Plan | None) -> Callable[[str], Awaitable[str]] | None:
    """Asks the model, as a run of its own within the same journal and budget."""
    if plan is None:
        return None
    numbers = itertools.count(1)

    async def advise(prompt: str) -> str:
        name = f"{folder.id}/search/advice"
        async with api.session(plan, seed=order.seed, engine=engine, name=name) as session:
            run = await session.answer(prompt, str(next(numbers)))
        return run.text or ""

    return advise


def _summary(
    order: Order, study: Study, verdict: Verdict | None, ended: str, searched: Spend, spent: Spend
) -> dict[str, Any]:
    """What it came to, JSON-ready; `said` is the same in words, the most important first."""
    trials, items = study.trials, len(order.split[0])
    whole = sum((trial.cost.calls / trial.items * items for trial in trials if trial.items), 0.0)
    return {
        "said": said(order, trials, verdict),
        "ended": ended,
        "notes": [*study.notes, *_troubles(trials)],
        "trials": len(trials),
        "complete": len(ranked(trials, order.aim)),
        "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
        "search": {
            "calls": searched.calls,
            "tokens": searched.tokens,
            "usd": searched.usd,
            "calls_of_answers": sum(trial.cost.calls for trial in trials),
            "calls_in_full": round(whole),
        },
        "confirmation": confirm.as_json(verdict) if verdict else None,
    }


def _troubles(trials: Sequence[Trial]) -> list[str]:
    """What failed on the way to answers, by trial: one whose judge never answers is not what it seems."""
    return [
        f"trial {trial.number}: {told(trouble, trial.items)}"
        for trial in trials
        for trouble in troubles(trial.records)
        if trouble["items"] == trial.items
    ]


def said(order: Order, trials: Sequence[Trial], verdict: Verdict | None) -> list[str]:
    """The result in words."""
    if verdict is None:
        best = next(iter(ranked(trials, order.aim)), None)
        if best is None:
            return ["No architecture was measured on all items of the search, so there is no winner."]
        return [
            f"Trial {best.number} is the best on the items of the search, which says too much: it is not confirmed."
        ]
    winner = verdict.confirmed[0]
    goal = order.aim.goals[0].text
    lines = []
    if lost := verdict.lost_to:
        lines.append(
            f"The winner is not better than {' nor '.join(lost)} at equal spend, as far as {verdict.items} held-out "
            "items tell."
        )
    elif verdict.rivals:
        names = ", ".join(rival.name for rival in verdict.rivals)
        lines.append(f"The winner is better than every baseline at equal spend ({names}) on held-out items.")
    lines.append(
        f"Trial {winner.trial.number}: {goal} {_shown(winner.held_out)} on {verdict.items} held-out items, "
        f"{_shown(winner.seen)} on the {winner.trial.items} of the search: {winner.optimism:+.3g} of that is optimism."
    )
    return lines


def _shown(estimate: Any) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
