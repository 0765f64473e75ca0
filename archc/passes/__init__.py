"""Passes: pure functions from a graph to a cheaper graph with the same answers. One file each; the order is here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from archc import errors
from archc.diagnostics import ArchcBug, SpecError, did_you_mean
from archc.ir.check import check
from archc.ir.graph import Graph
from archc.passes.choose_early import choose_early
from archc.passes.drop_dead import drop_dead
from archc.passes.run_beside import run_beside
from archc.passes.stop_early import stop_early

Pass = Callable[[Graph], Graph]

ORDER: tuple[Pass, ...] = (
    drop_dead,  # first: nothing else should look at what is never read
    choose_early,  # what it moves behind a choice, `stop_early` may no longer have to look through
    run_beside,  # after what takes steps away or moves them: it looks at what is before a step
    stop_early,  # last: it looks at who reads what in the end
)

FIRST = ("drop_dead",)
"""The passes there were before recipes named those that were run."""


@dataclass(frozen=True, slots=True)
class Step:
    """One pass that was run, with the graphs around it."""

    name: str
    before: Graph
    after: Graph

    @property
    def removed(self) -> list[str]:
        """The nodes that are gone."""
        return [node.id for node in self.before.every if node.id not in self.after.by_id]


def optimise(graph: Graph, skip: Collection[str] = ()) -> list[Step]:
    """Every pass run in order, with what it made. Raises ArchcBug if one breaks a graph that was whole."""
    names = [run.__name__ for run in ORDER]
    if unknown := [word for word in skip if word not in names]:
        raise SpecError(*(errors.UnknownPass(word=word, hint=did_you_mean(word, names)) for word in unknown))
    steps: list[Step] = []
    for run in ORDER:
        if run.__name__ in skip:
            continue
        after = replace(run(graph), rules="open")  # others are about what was written
        broken = [d for d in check(after) if d.severity == "error"]
        if broken:
            raise ArchcBug(f"the pass {run.__name__} broke the graph: {broken[0].headline}")
        steps.append(Step(run.__name__, graph, after))
        graph = after
    return steps
