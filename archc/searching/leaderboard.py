"""Leaderboard: which trials are best, and which no other one beats in everything."""

from __future__ import annotations

from collections.abc import Sequence

from archc.searching.objective import Aim
from archc.searching.racing import Values, dominates
from archc.searching.trial import Trial


def is_feasible(trial: Trial, aim: Aim) -> bool:
    """Whether it meets every constraint, as measured so far."""
    return all(violation <= 0 for violation in aim.violations(trial.figures()))


def ranked(trials: Sequence[Trial], aim: Aim) -> list[Trial]:
    """Those measured on all items that meet the constraints, the best first; among equals the one with fewer calls.

    With several goals those first that the fewest others beat in everything.
    """
    done = [trial for trial in trials if trial.status == "complete" and is_feasible(trial, aim)]
    values = {trial.number: aim.values(trial.figures()) for trial in done}

    def place(trial: Trial) -> tuple[float, ...]:
        own = values[trial.number]
        beaten = sum(dominates(other, own) for other in values.values())
        return (float(beaten), *(-value for value in own), trial.figures()["calls"], float(trial.number))

    return sorted(done, key=place)


def front(trials: Sequence[Trial], aim: Aim) -> list[Trial]:
    """Of the ranked those that no other one dominates, each set of values once, by the first goal."""
    done = ranked(trials, aim)
    values = [aim.values(trial.figures()) for trial in done]
    kept = {
        value: trial
        for value, trial in reversed(list(zip(values, done, strict=True)))
        if not any(dominates(other, value) for other in values)
    }
    return [kept[value] for value in sorted(kept, reverse=True)]


def estimate(trial: Trial, leader: Trial | None, aim: Aim, items: int) -> Values:
    """What a trial is worth: of one that was stopped early, as far from the leader as on the items that both have.

    So that a trial is not taken for good because the first items are easy.
    """
    values = aim.values(trial.figures())
    if leader is None or trial.items >= items:
        return values
    there, whole = aim.values(leader.figures(trial.items)), aim.values(leader.figures())
    return tuple(w + own - other for w, own, other in zip(whole, values, there, strict=True))


def best(trials: Sequence[Trial], aim: Aim) -> Trial | None:
    """The first of the ranked."""
    return next(iter(ranked(trials, aim)), None)
