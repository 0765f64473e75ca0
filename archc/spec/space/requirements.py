"""Requirements: what must hold between the parameters of a spec (`require`), of closed specs and of search spaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archc import errors
from archc.diagnostics import MOST_TOLD, Diagnostic, Label, SpecError, did_you_mean
from archc.source import Span
from archc.spec import conditions
from archc.spec.expressions import Expr
from archc.spec.located import Choice, Leaf, Listing, Located, Table
from archc.spec.space.hole import value_text
from archc.spec.units import Unit, must_be_truth

Known = bool | int | float | str
MOST = 1000


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition over parameters."""

    text: str
    span: Span
    condition: Expr
    params: tuple[str, ...]
    """Those it reads."""
    work: int
    """How much there is to do to decide it, in parts of the condition."""

    def holds(self, values: Mapping[str, Known]) -> bool:
        """Whether it holds; `values` has at least the parameters it reads."""
        return bool(conditions.evaluate(self.condition, values))


def requirements(root: Located) -> tuple[Requirement, ...]:
    """What a spec requires. Raises SpecError with all that cannot be decided."""
    params = parameters(root)
    entry = root.get("require") if isinstance(root, Table) else None
    written = entry.value.items if entry and isinstance(entry.value, Listing) else ()
    if len(written) > MOST:
        raise SpecError(errors.TooLarge(span=written[MOST].span, what="requirements", limit=MOST))
    found: list[Diagnostic] = []
    made = [
        _requirement(leaf, leaf.value, params, found)
        for leaf in written
        if isinstance(leaf, Leaf) and isinstance(leaf.value, str) and len(found) < MOST_TOLD
    ]
    if found:
        raise SpecError(*found)
    return tuple(made)


def parameters(root: Located) -> dict[str, Located]:
    """The parameters of a spec with their values, which may be open."""
    entry = root.get("params") if isinstance(root, Table) else None
    return {e.key: e.value for e in entry.value} if entry and isinstance(entry.value, Table) else {}


def broken(root: Located, required: tuple[Requirement, ...] | None = None) -> list[Diagnostic]:
    """The requirements that do not hold. Those over choices that are still open are not decided."""
    required = requirements(root) if required is None else required
    values = {name: v.value for name, v in parameters(root).items() if isinstance(v, Leaf) and v.value is not None}
    decided = (r for r in required if values.keys() >= set(r.params))
    places = {name: v.span for name, v in parameters(root).items()}
    return [_broken(r, values, places) for r in decided if not r.holds(values)]


def _broken(requirement: Requirement, values: Mapping[str, Known], places: Mapping[str, Span]) -> Diagnostic:
    got = " and ".join(f"`{name} = {value_text(values[name])}`" for name in requirement.params)
    problem, hint = "which never holds", "remove it, or change it"
    if got:
        problem = f"which {got} {'do' if len(requirement.params) > 1 else 'does'} not meet"
        hint = "change a param, or the requirement"
    return errors.BrokenRequirement(
        span=requirement.span,
        also=tuple(Label(places[name], f"`{name}` is given here") for name in requirement.params),
        requirement=requirement.text,
        problem=problem,
        hint=hint,
    )


def _requirement(leaf: Leaf, text: str, params: Mapping[str, Located], found: list[Diagnostic]) -> Requirement:
    condition = conditions.parse_condition(text, conditions.place_in(leaf))
    read = tuple(sorted(conditions.names(condition)))
    before = len(found)
    units = {name: unit for name in read if (unit := _unit(name, leaf.span, params, found))}
    if len(found) == before:
        must_be_truth(condition, units, found)
    return Requirement(text, leaf.span, condition, read, conditions.size(condition))


def _unit(name: str, span: Span, params: Mapping[str, Located], found: list[Diagnostic]) -> Unit | None:
    if name not in params:
        hint = did_you_mean(name, params)
        found.append(errors.UnfitRequirement(span=span, problem=f"there is no param `{name}`", hint=hint))
        return None
    units = {_UNITS.get(type(value)) for value in _scalars(params[name])}
    [unit, *others] = units or {None}
    if unit and not others:
        return unit
    problem = f"`{name}` is not always a number, or not always a string"
    hint = "give it options of one kind"
    if units == {None}:
        problem, hint = f"`{name}` has no value", f"give one: `--set params.{name}=…`"
    found.append(errors.UnfitRequirement(span=span, problem=problem, hint=hint))
    return None


_UNITS = {int: Unit.NUMBER, float: Unit.NUMBER, bool: Unit.TRUTH, str: Unit.TEXT}


def _scalars(value: Located) -> Iterator[object]:
    """What a parameter may be."""
    match value:
        case Leaf():
            yield value.value
        case Choice(range=numbers) if numbers:
            yield numbers.lo
        case Choice():
            for option in value.options:
                yield from _scalars(option)
        case _:
            yield None
