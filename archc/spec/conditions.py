"""A stand-in with the contract's API for requirements only, until the conditions of branch `dsl` replace this file."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from archc.diagnostics import Diagnostic
from archc.source import Span


class Unit(StrEnum):
    """What a value measures."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "truth"


@dataclass(frozen=True)
class Expr:
    """A condition."""

    tree: ast.expr
    span: Span


def parse_condition(text: str, place: Callable[[int, int], Span]) -> Expr:
    """The condition that a text says."""
    return Expr(ast.parse(text.replace("$", ""), mode="eval").body, place(0, len(text)))


def unit_of(expr: Expr, units: Mapping[str, Unit], found: list[Diagnostic]) -> Unit | None:
    """Always a truth here."""
    return Unit.TRUTH


def names(expr: Expr) -> frozenset[str]:
    """What it reads."""
    return frozenset(node.id for node in ast.walk(expr.tree) if isinstance(node, ast.Name))


def bound(expr: Expr, params: Mapping[str, Any]) -> Expr:
    """Itself."""
    return expr


def evaluate(expr: Expr, values: Mapping[str, Any]) -> Any:
    """Its value."""
    return _value(expr.tree, values)


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Name():
            return values[node.id]
        case ast.Constant():
            return node.value
        case ast.BoolOp():
            pick = any if isinstance(node.op, ast.Or) else all
            return pick(_value(v, values) for v in node.values)
        case ast.UnaryOp():
            return _OPERATORS[type(node.op)](_value(node.operand, values))
        case ast.BinOp():
            return _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
        case ast.Compare():
            return _OPERATORS[type(node.ops[0])](_value(node.left, values), _value(node.comparators[0], values))
        case _:
            raise ValueError(ast.dump(node))
