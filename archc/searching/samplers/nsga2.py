"""nsga2: a genetic algorithm for several objectives (Optuna's NSGAIISampler): the best are crossed and mutated."""

from __future__ import annotations

from optuna import Study
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial

from archc.searching.samplers._optuna import Optuna

POPULATION = 20
"""Trials of a generation; smaller than Optuna's 50, since a trial here is a benchmark run."""


class _Ordered(NSGAIISampler):
    """With parents in the order of trials, also when they were selected just now."""

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        super().get_parent_population(study, generation)  # selects them, and remembers which
        return super().get_parent_population(study, generation)


class Genetic(Optuna):
    """A generation is so many trials in the order in which they were told."""

    name = "nsga2"

    def made(self, seed: int) -> NSGAIISampler:
        return _Ordered(population_size=POPULATION, seed=seed)

    def learn(self, trial: FrozenTrial) -> None:
        self.made(0).get_trial_generation(self._study, trial)  # which also writes it down
