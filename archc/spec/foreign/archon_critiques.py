"""Which candidates Archon's critiques describe: it hands them on after those candidates are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archc import errors
from archc.diagnostics import Diagnostic
from archc.source import Span


@dataclass(frozen=True, slots=True)
class Critiques:
    """What Archon holds between two layers."""

    layer: int
    """The layer that wrote them."""
    count: int
    stale: bool = False
    """Whether they describe other candidates than those at hand."""

    def misread(self, layer: int, kind: str, width: int, compat: bool, span: Span) -> Diagnostic | None:
        """What is wrong if a component of that kind reads them."""
        if not self.stale or kind not in READERS:
            return None
        crashes = compat and self.count != width
        wording = errors.MismatchedCritiques if crashes else errors.StaleCritiques
        return wording(span=span, layer=layer, critic=self.layer, kind=kind, count=self.count, width=width)


READERS = frozenset({"ranker", "fuser", "verifier"})
"""Components that read critiques wherever there are some."""


def after(held: Critiques | None, layer: int, kinds: Sequence[str], arrived: int, left: int) -> Critiques | None:
    """What Archon holds after a layer: `arrived` candidates came into it, `left` leave it."""
    if "critic" in kinds:
        return Critiques(layer, arrived * kinds.count("critic"))
    if held is None:
        return None
    if {"generator", "fuser", "unit_test_evaluator"} & set(kinds):
        return Critiques(held.layer, held.count, stale=True)  # evaluators reorder candidates, but not critiques
    return Critiques(held.layer, left, held.stale) if {"ranker", "verifier"} & set(kinds) else held
