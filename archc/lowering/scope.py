"""Scope: what names mean at a place in a spec: its models, its params, the values that `let` has named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.ir.condition import Condition
from archc.ir.statistics import UNITS
from archc.lowering.models import Names
from archc.source import Source, Span
from archc.spec import conditions
from archc.spec.expressions import Expr
from archc.spec.located import Leaf, Located, Table, kind_of
from archc.spec.model import Spec
from archc.spec.params import unknown
from archc.spec.units import Unit, must_be_truth

Loader = Callable[[str, Source, Table], Spec]
"""From a path, the source that names it and values for its params to the spec there. Raises SpecError."""


@dataclass(frozen=True)
class Named:
    """What `let` has named."""

    outputs: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class Scope:
    """Where a step stands."""

    spec: Spec
    models: Names | None
    """The models of the spec; None where they are not known."""
    limits: frozenset[str]
    """What a budget around limits."""
    names: Mapping[str, Named] = field(default_factory=dict)
    bound: Mapping[str, Located] = field(default_factory=dict)
    """Params that a block binds, such as the model of a cascade."""
    outer: Scope | None = None
    """That of the step that uses the spec."""

    def naming(self, name: str, named: Named) -> Scope:
        """With one more name."""
        return replace(self, names={**self.names, name: named})

    def binding(self, name: str, value: Located) -> Scope:
        """With one more param."""
        return replace(self, bound={**self.bound, name: value})

    def limiting(self, limits: frozenset[str]) -> Scope:
        """Within another budget."""
        return replace(self, limits=self.limits | limits)

    @property
    def params(self) -> Mapping[str, Located]:
        """Every `$name`."""
        return {**self.spec.params, **self.bound}

    def chain(self) -> list[Scope]:
        """This scope and those of the specs that use it, the outermost last."""
        return [self, *(self.outer.chain() if self.outer else [])]

    def model(self, name: str, span: Span) -> str | None:
        """The graph's name of a model, looked for first in the spec in which it is written; None if there is none."""
        chain = sorted(self.chain(), key=lambda scope: scope.spec.source != span.source)
        for scope in chain:
            if scope.models is not None and name in scope.models:
                return scope.models[name]
        return None

    def condition(self, value: Located, found: list[Diagnostic]) -> Condition | None:
        """The condition that a text says; None after adding what is wrong with it."""
        if not isinstance(value, Leaf) or not isinstance(value.value, str | bool):
            example = "a condition such as `agreement >= 0.8`"
            found.append(errors.WrongKind(span=value.span, what="a condition", expected=example, got=kind_of(value)))
            return None
        expr = self._expr(value, UNITS, found)
        if expr is None:
            return None
        for name in conditions.names_within(expr):
            kind, _, what = name.name.partition(".")
            if kind == "left" and what not in self.limits:
                found.append(errors.UnlimitedLeft(span=name.span, what=what))
                return None
        return Condition(expr, value.span)

    def _expr(self, value: Leaf, units: Mapping[str, Unit], found: list[Diagnostic]) -> Expr | None:
        text = str(value.value).lower() if isinstance(value.value, bool) else str(value.value)
        try:
            expr = conditions.bound(conditions.parse_condition(text, conditions.place_in(value)), self.constants)
        except SpecError as error:
            found += error.diagnostics
            return None
        if strange := [name for name in conditions.names_within(expr) if name.is_param]:
            missing = {name for name, value in self.params.items() if isinstance(value, Leaf) and value.value is None}
            found += [unknown(n.name, n.span, self.params) for n in strange if n.name not in missing]
            return None
        said: list[Diagnostic] = []
        is_right = must_be_truth(expr, units, said)
        found += [self._meant(diagnostic) for diagnostic in said]
        return expr if is_right else None

    def _meant(self, diagnostic: Diagnostic) -> Diagnostic:
        """The same, with a word for who forgot the `$` of a param."""
        if isinstance(diagnostic, errors.UnknownName) and diagnostic.word in self.params:
            return replace(diagnostic, hint=f"a param is written `${diagnostic.word}`")
        return diagnostic

    @property
    def constants(self) -> Mapping[str, float | bool | str]:
        """The params that are plain values."""
        leaves = {name: value.value for name, value in self.params.items() if isinstance(value, Leaf)}
        return {name: value for name, value in leaves.items() if value is not None}
