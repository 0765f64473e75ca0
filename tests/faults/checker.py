"""The checker: compares the server's ledger, archc's journal and results, and its trace. Each function is one promise.

`check(scene)` gives every broken promise as a sentence; none if all is well.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from archc.calls import Completion, Spend
from archc.runtime.journal import opened
from archc.runtime.records import unpacked
from archc.runtime.run import Run
from archc.runtime.trace import Event
from archc.spec.model import Budget
from tests.faults.hostile import total
from tests.faults.scenes import PRICE, TIMEOUT_S, Act, Attempt, Scene
from tests.faults.truth import Drawn, Sample

DUST = 1e-9
"""USD."""


def check(scene: Scene) -> list[str]:
    """All that went wrong in a scene."""
    promises = (
        nothing_breaks,
        only_the_truth_is_believed,
        all_that_came_is_kept,
        nothing_is_bought_twice,
        all_that_is_billed_is_counted,
        no_budget_is_overdrawn,
        the_next_run_ends_as_if_nothing_had_happened,
        nothing_outlives_its_time,
    )
    return [f"{promise.__name__}: {broken}" for promise in promises for broken in promise(scene)]


def nothing_breaks(scene: Scene) -> Iterator[str]:
    """No exception leaves a session, nothing hangs, nothing is left open, and every question ends with a word."""
    yield from scene.leaks
    for act in (scene.calm, scene.disturbed, scene.again):
        yield from act.wrong
        for attempt in act.attempts:
            if "(" in attempt.outcome:
                yield f"the backend raised {attempt.outcome}"
    for id, run in scene.disturbed.runs.items():
        if run.status == "failed" and run.error is None:
            yield f"question {id} failed without a reason"


def only_the_truth_is_believed(scene: Scene) -> Iterator[str]:
    """A completion that archc takes is what the server drew for that sample: whole, and nobody else's."""
    for attempt in _attempts(scene):
        for sample, got in zip(attempt.samples, attempt.completions, strict=False):
            meant = scene.server.truths.get(sample, Drawn("nothing was asked for", "", 0))
            if (got.text, got.finish) != (meant.text, meant.finish):
                yield f"{sample} came as {got.text[:60]!r} ({got.finish}), not {meant.text[:60]!r} ({meant.finish})"
            if got.logprob is not None and not math.isfinite(got.logprob):
                yield f"{sample} has the log-probability {got.logprob}"


def all_that_came_is_kept(scene: Scene) -> Iterator[str]:
    """The journal has exactly what came: nothing is lost, nothing else is there."""
    came = Counter(c.text for a in _attempts(scene) for c in a.completions)
    there = Counter(c.text for c in stored(scene.journal))
    if came != there:
        yield f"{(came - there).total()} completions are not in the journal, {(there - came).total()} never came"


def nothing_is_bought_twice(scene: Scene) -> Iterator[str]:
    """A sample is billed once for its good answer, and else only where archc counted an attempt as perhaps paid."""
    bought = Counter(Sample(line.key, line.seed) for line in scene.server.bill())
    good: Counter[Sample] = Counter()
    perhaps: Counter[Sample] = Counter()
    for attempt in _attempts(scene):
        came = len(attempt.completions) if attempt.outcome == "ok" else 0
        good.update(attempt.samples[:came])
        perhaps.update(attempt.samples[came:] if attempt.charged else ())  # a server may bill what it does not give
    for sample, times in good.items():
        if times > 1:
            yield f"{sample} came {times} times"
    for sample, times in bought.items():
        if times > good[sample] + perhaps[sample]:
            met = [line.fault for line in scene.server.bill() if Sample(line.key, line.seed) == sample]
            yield f"{sample} was billed {times} times, for {met}; archc knows of {good[sample]} + {perhaps[sample]}"


def all_that_is_billed_is_counted(scene: Scene) -> Iterator[str]:
    """What archc says it spent is at least the bill, in every unit."""
    said = _spent([*scene.disturbed.events, *scene.again.events])
    bill = total(scene.server.bill(), PRICE)
    pairs = zip(("calls", "prompt tokens", "completion tokens", "USD"), _units(said), _units(bill), strict=True)
    for unit, mine, theirs in pairs:
        if mine < theirs - DUST:
            yield f"{theirs} {unit} were billed, archc counted {mine}"


def no_budget_is_overdrawn(scene: Scene) -> Iterator[str]:
    """Not by what archc counts, which is never less than the bill; but for what a server billed by lying."""
    act, setting = scene.disturbed, scene.setting
    for id in {event["query"] for event in act.events if "query" in event}:
        yield from _overdrawn(f"question {id}", act, id, setting.own, scene.server.excess)
    if setting.shared:
        yield from _overdrawn("the run", act, None, setting.shared, scene.server.excess)
    for id, run in act.runs.items():
        limits = [b.seconds for b in (setting.own, setting.shared) if b and b.seconds is not None]
        if limits and run.seconds > min(limits) + 1:
            yield f"question {id} took {run.seconds} s of {min(limits)} s"


def _overdrawn(whose: str, act: Act, id: str | None, limit: Budget, excess: int) -> Iterator[str]:
    spent = _spent(event for event in act.events if id in (None, event.get("query")))
    for unit, used, most, lied in (
        ("calls", spent.calls, limit.calls, 0.0),
        ("tokens", spent.tokens, limit.tokens, excess),
        ("USD", spent.usd, limit.usd, excess * max(PRICE) / 1e6 + DUST),
    ):
        if most is not None and used > most + lied:
            yield f"{used} {unit} of {most} were spent for {whose}"


def the_next_run_ends_as_if_nothing_had_happened(scene: Scene) -> Iterator[str]:
    """From the journal of the disturbed run, and an honest server, comes what an undisturbed run comes to."""
    if not scene.setting.template.fixed or scene.setting.bytes_per_token != 4:
        return  # another tokeniser cuts other texts
    for id, calm in scene.calm.runs.items():
        again = scene.again.runs.get(id)
        if again is None or _result(again) != _result(calm):
            yield f"question {id}: {again and _result(again)!r:.200}, undisturbed {_result(calm)!r:.200}"


def _result(run: Run) -> tuple[Any, ...]:
    return run.status, run.answer, [(c.text, c.truncated) for c in run.candidates]


def nothing_outlives_its_time(scene: Scene) -> Iterator[str]:
    """A request has its `timeout`; what a server left out of several samples is asked for in a second one."""
    for attempt in _attempts(scene):
        most = TIMEOUT_S * (1 if len(attempt.samples) == 1 else 2) + 1
        if attempt.seconds > most:
            yield f"an attempt took {attempt.seconds} s and ended as {attempt.outcome}"


# ---- what the two ends wrote down


def stored(journal: Path) -> list[Completion]:
    """All completions that a journal has. The one place here that knows its tables."""
    with opened(journal) as store:
        rows = store.rows("SELECT key, body, crc FROM samples WHERE body NOT NULL")
        assert store.rows("SELECT * FROM attempts WHERE state = 'sent'") == [], "an attempt that was never settled"
        assert store.rows("SELECT * FROM samples WHERE body IS NULL") == [], "a claim that was never given up"
    read = [unpacked(*row) for row in rows]
    assert None not in read, "a damaged row"
    return [one for one in read if one is not None]


def _attempts(scene: Scene) -> list[Attempt]:
    return [*scene.disturbed.attempts, *scene.again.attempts]


def _spent(events: Iterable[Event]) -> Spend:
    calls = [e for e in events if e["event"] == "call"]
    return sum((Spend(e["calls"], e["prompt_tokens"], e["completion_tokens"], e["usd"]) for e in calls), Spend())


def _units(spend: Spend) -> tuple[float, ...]:
    return spend.calls, spend.prompt, spend.completion, spend.usd
