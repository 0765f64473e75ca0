"""tpe: tree-structured Parzen estimators of all choices together (Optuna's TPESampler, multivariate, in groups)."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from archc.searching.samplers._optuna import Optuna


class Parzen(Optuna):
    """Proposes what the better trials have in common and the worse do not."""

    name = "tpe"

    def made(self, seed: int) -> BaseSampler:
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
