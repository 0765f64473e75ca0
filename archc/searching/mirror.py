"""Mirror: the trials of a search as an Optuna study on disk, for optuna-dashboard and whatever else reads these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archc import errors
from archc.diagnostics import RunError
from archc.searching.objective import Aim
from archc.searching.trial import Trial
from archc.spec.space.hole import Hole

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def write_study(path: Path, name: str, aim: Aim, holes: Sequence[Hole], trials: Sequence[Trial]) -> None:
    """Puts the trials into a file that Optuna's `JournalStorage` reads, in place of what was there. Raises RunError."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    temporary = path.with_name(f".{path.name}-new")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        temporary.unlink(missing_ok=True)
        storage = JournalStorage(JournalFileBackend(str(temporary)))
        ways = optuna.study.StudyDirection
        directions = [ways.MAXIMIZE if goal.sign > 0 else ways.MINIMIZE for goal in aim.goals]
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        study.set_user_attr("goals", [goal.text for goal in aim.goals])
        study.add_trials([_frozen(trial, aim, holes) for trial in trials])
        temporary.replace(path)
    except OSError as error:
        raise RunError(errors.NotWritable(path=str(path), problem=error.strerror or str(error))) from None
    finally:
        optuna.logging.set_verbosity(verbosity)
        temporary.unlink(missing_ok=True)


def _frozen(trial: Trial, aim: Aim, holes: Sequence[Hole]) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    there = [hole for hole in holes if hole.path in trial.point]
    picks = {hole.path: pick for hole in there if (pick := hole.pick(trial.point[hole.path])) is not None}
    values = (
        [goal.sign * value for goal, value in zip(aim.goals, aim.values(trial.figures()), strict=True)]
        if (trial.records)
        else None
    )
    complete = trial.status == "complete"
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED if values else TrialState.FAIL,
        values=values if complete else None,
        params={h.path: h.value(picks[h.path]) if h.choice.range else h.label(picks[h.path]) for h in there},
        distributions={hole.path: _distribution(hole) for hole in there},
        intermediate_values={trial.items: values[0]} if values and len(values) == 1 else {},
        user_attrs={
            "number": trial.number,
            "status": trial.status,
            "items": trial.items,
            "run_id": trial.run,
            **(trial.figures() if trial.records else {}),
        },
    )


def _distribution(hole: Hole) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    numbers = hole.choice.range
    if numbers is None:
        return CategoricalDistribution(hole.labels)
    if numbers.step is None:
        return FloatDistribution(float(numbers.lo), float(numbers.hi))
    if all(isinstance(number, int) for number in (numbers.lo, numbers.hi, numbers.step)):
        return IntDistribution(int(numbers.lo), int(numbers.hi), step=int(numbers.step))
    return FloatDistribution(float(numbers.lo), float(numbers.hi), step=float(numbers.step))
