"""Look: what a text gives as it stands: everything that is wrong, and a plan if nothing is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from archc import api, errors
from archc.diagnostics import Diagnostic, SpecError, in_source_order
from archc.source import Source, Span
from archc.spec.choices import closed, holes
from archc.spec.located import Leaf, Located, Table
from archc.spec.reading import read_spec
from archc.spec.requirements import broken

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True)
class Look:
    """What is known of a text."""

    diagnostics: tuple[Diagnostic, ...]
    root: Located | None = None
    """None where the text has no form yet."""
    plan: api.Plan | None = None
    """Of the spec as written, with the first option of each choice."""


def severity_of(diagnostic: Diagnostic) -> Severity:
    """How bad it is while one writes: what is only given later is no mistake yet."""
    return "information" if isinstance(diagnostic, _LATER) else diagnostic.severity


_LATER = (errors.MissingParam, errors.UnsetVariable)
_WAYS = 8
"""So many ways to close the choices are looked at: the first options, the second ones, …"""


def diagnostics_of(source: Source) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a text, in any option of its choices. Never raises."""
    return look(source).diagnostics


@lru_cache(maxsize=32)
def look(source: Source) -> Look:
    """What is known of a text. Kept until `look.cache_clear()`: the specs that it uses may change."""
    try:
        root = api.space(source).root
    except SpecError as error:
        return Look(error.diagnostics)
    ways = max((hole.options or 1 for hole in holes(root)), default=1)
    looks = [_closed(source, root, way) for way in range(min(ways, _WAYS))]
    whole = [one for one in looks if not (ways > 1 and broken(one.root or root))] or looks[:1]
    told = [set(one.diagnostics) for one in whole]
    everywhere = set.intersection(*told)
    found = {d for d in set.union(*told) if d.severity == "error" or d in everywhere}
    return Look(_without_followers(found, root), root, whole[0].plan)


def _closed(source: Source, root: Located, way: int) -> Look:
    """The same with an option for each choice."""
    taken: dict[str, int] = {}
    values = {}
    for hole in holes(root):
        if all(taken.get(path) == option for path, option in hole.under):
            taken[hole.path] = min(way, (hole.options or 1) - 1)
            values[hole.path] = hole.value(hole.first() if hole.options is None else taken[hole.path])
    root = closed(root, values)
    unmet = broken(root)
    try:
        plan = api.plan(api.lower(read_spec(source, root)))
    except SpecError as error:
        return Look((*unmet, *error.diagnostics), root)
    return Look((*unmet, *plan.warnings), root, plan)


def _without_followers(found: set[Diagnostic], root: Located) -> tuple[Diagnostic, ...]:
    """Without what is wrong only because a param has no value yet."""
    declared = root.get("params") if isinstance(root, Table) else None
    params = declared.value if declared and isinstance(declared.value, Table) else Table((), root.span)
    missing = [e for e in params if isinstance(e.value, Leaf) and e.value.value is None]
    places = {span for e in missing for span in (e.key_span, e.value.span)}
    used = re.compile(rf"\$(?:{'|'.join(re.escape(e.key) for e in missing) or r'(?!)'})\b")
    return in_source_order(d for d in found if isinstance(d, _LATER) or not (missing and _follows(d, places, used)))


def _follows(found: Diagnostic, places: set[Span], used: re.Pattern[str]) -> bool:
    if found.span is None:
        return False
    around = found.span.line_text() if isinstance(found, errors.MissingKey) else found.span.text
    return found.span in places or bool(used.search(around))
