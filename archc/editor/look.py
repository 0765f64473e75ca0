"""Look: what a text gives as it stands: everything that is wrong, and a plan if nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from archc import api, errors
from archc.diagnostics import Diagnostic, SpecError
from archc.source import Source
from archc.spec.located import Located

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True)
class Look:
    """What is known of a text."""

    diagnostics: tuple[Diagnostic, ...]
    root: Located | None = None
    """None where the text has no form yet."""
    plans: tuple[api.Plan, ...] = ()
    """Those of points that together take every option of its choices; none where something is wrong."""


def severity_of(diagnostic: Diagnostic) -> Severity:
    """How bad it is while one writes: what is only given later is no mistake yet."""
    later = (errors.MissingParam, errors.UnsetVariable)
    return "information" if isinstance(diagnostic, later) else diagnostic.severity


def diagnostics_of(source: Source) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a text, in any option of its choices. Never raises."""
    return look(source).diagnostics


@lru_cache(maxsize=32)
def look(source: Source) -> Look:
    """What is known of a text. Kept until `look.cache_clear()`: the specs that it uses may change."""
    root = None
    try:
        root = api.read_document(source).root
        checked = api.check(source)
    except SpecError as error:
        return Look(error.diagnostics, root)
    return Look(checked.warnings, root, checked.plans)
