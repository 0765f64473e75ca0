"""Units: what the numbers in conditions count, so that a share is not compared with tokens."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from archc import errors
from archc.diagnostics import Diagnostic, Label, did_you_mean
from archc.spec.expressions import Arithmetic, Comparison, Constant, Expr, Logic, Name, Negative, Not


class Unit(StrEnum):
    """What a value counts. A plain number goes with every unit."""

    SHARE = "share"
    CANDIDATES = "candidates"
    CALLS = "calls"
    TOKENS = "tokens"
    USD = "usd"
    ROUNDS = "rounds"
    BITS = "bits"
    NUMBER = "number"
    TEXT = "text"
    TRUTH = "truth"


_WORDS = {
    Unit.SHARE: "a share",
    Unit.CANDIDATES: "a number of candidates",
    Unit.CALLS: "a number of calls",
    Unit.TOKENS: "a number of tokens",
    Unit.USD: "an amount in USD",
    Unit.ROUNDS: "a number of rounds",
    Unit.BITS: "a number of bits",
    Unit.NUMBER: "a plain number",
    Unit.TEXT: "a string",
    Unit.TRUTH: "true or false",
}


def unit_of(expr: Expr, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    """The unit of an expression whose names have these units; None after adding what is wrong to `found`.

    A condition is right if this is `Unit.TRUTH`; `must_be_truth` says so to the user.
    """
    match expr:
        case Constant():
            return _unit_of_constant(expr)
        case Name():
            return _unit_of_name(expr, units, found)
        case Negative():
            return _numeric(expr.operand, units, found)
        case Arithmetic():
            return _product(expr, units, found) if expr.is_product else _sum(expr, units, found)
        case Comparison():
            return _comparison(expr, units, found)
        case Not():
            return _truth((expr.operand,), units, found)
        case Logic():
            return _truth(expr.operands, units, found)


def must_be_truth(expr: Expr, units: Mapping[str, Unit], found: list[Diagnostic]) -> bool:
    """Whether the expression is a condition; adds what is wrong to `found` otherwise."""
    return _truth((expr,), units, found) is not None


def _unit_of_constant(expr: Constant) -> Unit:
    match expr.value:
        case bool():
            return Unit.TRUTH
        case str():
            return Unit.TEXT
        case _:
            return Unit.NUMBER


def _unit_of_name(expr: Name, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    unit = units.get(expr.name)
    if unit is None:
        sign = "$" if expr.is_param else ""
        hint = _NO_TIME if expr.name.rpartition(".")[2] in _TIMES else did_you_mean(expr.name, units)
        found.append(errors.UnknownName(span=expr.span, word=sign + expr.name, hint=hint))
    return unit


_TIMES = ("seconds", "time", "elapsed", "minutes", "latency", "now")
_NO_TIME = "time is not the same in every run; to end after some, use `deadline`"


def _truth(operands: tuple[Expr, ...], units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    fits = True
    for operand in operands:
        unit = unit_of(operand, units, found)
        fits = fits and unit is Unit.TRUTH
        if unit not in (None, Unit.TRUTH):
            found.append(errors.NotTrueOrFalse(span=operand.span, got=_WORDS[unit], example=_EXAMPLES[unit]))
    return Unit.TRUTH if fits else None


_EXAMPLES = dict.fromkeys(Unit, "count >= 3") | {
    Unit.SHARE: "agreement >= 80%",
    Unit.CALLS: "spent.calls < 40",
    Unit.TOKENS: "left.tokens > 2000",
    Unit.USD: "spent.usd < 0.5",
    Unit.ROUNDS: "round >= 2",
    Unit.BITS: "entropy < 1",
    Unit.TEXT: '$mode == "fast"',
}


def _numeric(expr: Expr, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    unit = unit_of(expr, units, found)
    if unit in (Unit.TEXT, Unit.TRUTH):
        found.append(errors.NotANumber(span=expr.span, got=_WORDS[unit]))
        return None
    return unit


def _sum(expr: Arithmetic, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    whole, of = _numeric(expr.first, units, found), expr.first
    for sign, operand in expr.rest:
        unit = _numeric(operand, units, found)
        if whole is None or unit is None:
            return None
        if Unit.NUMBER not in (whole, unit) and whole is not unit:
            verb = "added to" if sign == "+" else "subtracted from"
            found.append(_mismatch(operand, unit, of, whole, f"cannot be {verb}"))
            return None
        if whole is Unit.NUMBER:
            whole, of = unit, operand
    return whole


def _product(expr: Arithmetic, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    whole, of = _numeric(expr.first, units, found), expr.first
    for sign, operand in expr.rest:
        unit = _numeric(operand, units, found)
        if whole is None or unit is None:
            return None
        if sign == "/" and whole is unit:
            whole = Unit.NUMBER
        elif sign == "*" and whole is Unit.NUMBER:
            whole, of = unit, operand
        elif unit is not Unit.NUMBER:
            verb = "multiplied with" if sign == "*" else "divided by"
            found.append(_mismatch(of, whole, operand, unit, f"cannot be {verb}"))
            return None
    return whole


def _comparison(expr: Comparison, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    left, right = unit_of(expr.left, units, found), unit_of(expr.right, units, found)
    if left is None or right is None:
        return None
    plain = {Unit.TEXT, Unit.TRUTH}
    if left is not right and (Unit.NUMBER not in (left, right) or plain & {left, right}):
        found.append(_mismatch(expr.left, left, expr.right, right, "cannot be compared with"))
        return None
    if left in plain and expr.operator not in ("==", "!="):
        found.append(errors.NoOrder(span=expr.span, operator=expr.operator, what=_WORDS[left]))
        return None
    outside = [_outside(expr.left, left, expr.right), _outside(expr.right, right, expr.left)]
    found += [diagnostic for diagnostic in outside if diagnostic]
    return None if any(outside) else Unit.TRUTH


def _mismatch(one: Expr, unit: Unit, other: Expr, its: Unit, verb: str) -> Diagnostic:
    also = (Label(other.span, f"this is {_WORDS[its]}"),)
    return errors.UnitMismatch(span=one.span, one=_WORDS[unit], verb=verb, other=_WORDS[its], also=also)


def _outside(share: Expr, unit: Unit, limit: Expr) -> Diagnostic | None:
    """What to say of a share compared with a number that no share has. `agreement * 100` is no plain share."""
    if unit is not Unit.SHARE or isinstance(share, Arithmetic) or not isinstance(limit, Constant):
        return None
    value = limit.value
    if isinstance(value, str) or 0 <= value <= 1:
        return None
    hint = f"write `{value:g}%`" if 1 < value <= 100 else "write a number from 0 to 1, or a percentage such as `80%`"
    label = Label(share.span, "this is a share, from 0 to 1")
    return errors.NotAShare(span=limit.span, number=f"{value:g}", hint=hint, also=(label,))
