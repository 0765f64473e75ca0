"""Expressions: the values that conditions are read into. Equality does not look at their places."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from archc.source import Span

Value = float | bool | str
"""What an expression may come to; whole numbers stay whole where they are written."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a truth value, or a string."""

    value: Value
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A statistic such as `agreement`, or a parameter; `$k` is surely one."""

    name: str
    span: Span = field(compare=False, repr=False)
    is_param: bool = False


@dataclass(frozen=True, slots=True)
class Negative:
    """`-x`; of a number, it is a Constant."""

    operand: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`first` with the others added and subtracted, or multiplied and divided, from left to right."""

    first: Expr
    rest: tuple[tuple[Literal["+", "-", "*", "/"], Expr], ...]
    span: Span = field(compare=False, repr=False)

    @property
    def is_product(self) -> bool:
        """Whether it multiplies and divides."""
        return self.rest[0][0] in "*/"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides compared."""

    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Expr
    right: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    """`not x`."""

    operand: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """`x and y and …`, or the same with `or`."""

    operator: Literal["and", "or"]
    operands: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


Expr = Constant | Name | Negative | Arithmetic | Comparison | Not | Logic


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly within."""
    match expr:
        case Constant() | Name():
            return ()
        case Negative() | Not():
            return (expr.operand,)
        case Arithmetic():
            return (expr.first, *(operand for _, operand in expr.rest))
        case Comparison():
            return (expr.left, expr.right)
        case Logic():
            return expr.operands


def rebuilt(expr: Expr, inner: tuple[Expr, ...]) -> Expr:
    """The same with other expressions directly within."""
    match expr:
        case Constant() | Name():
            return expr
        case Negative():
            return negated(inner[0], expr.span)
        case Not():
            return replace(expr, operand=inner[0])
        case Arithmetic():
            rest = tuple((sign, new) for (sign, _), new in zip(expr.rest, inner[1:], strict=True))
            return replace(expr, first=inner[0], rest=rest)
        case Comparison():
            return replace(expr, left=inner[0], right=inner[1])
        case Logic():
            return replace(expr, operands=inner)


def negated(operand: Expr, span: Span) -> Expr:
    """`-x`, so that `-3` is a number."""
    if isinstance(operand, Constant) and isinstance(operand.value, int | float) and not isinstance(operand.value, bool):
        return Constant(-operand.value, span)
    return Negative(operand, span)
