"""Conditions: pure expressions over statistics and parameters, the same in both forms of a spec."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.source import Span
from archc.spec.arch import literals
from archc.spec.arch.advice import advice
from archc.spec.arch.grammar import Unexpected, fold, parse
from archc.spec.arch.outline import Mistake, outline
from archc.spec.expressions import (
    Arithmetic,
    Comparison,
    Constant,
    Expr,
    Logic,
    Name,
    Negative,
    Not,
    Value,
    negated,
    parts,
    rebuilt,
)
from archc.spec.located import Leaf
from archc.spec.units import Unit, must_be_truth, unit_of

__all__ = [
    "Expr",
    "Unit",
    "bound",
    "constant",
    "evaluate",
    "must_be_truth",
    "names",
    "names_within",
    "parse_condition",
    "place_in",
    "text_of",
    "unit_of",
]

Place = Callable[[int, int], Span]
LONGEST = 1 << 15


def parse_condition(text: str, place: Place) -> Expr:
    """What the text says; `place` finds the span of its characters. Raises SpecError with what is wrong."""
    if len(text) > LONGEST:
        raise SpecError(errors.TooLarge(span=place(0, 1), what="characters in one condition", limit=LONGEST))
    mistakes = outline(text).mistakes
    if mistakes:
        raise SpecError(*(_diagnostic(mistake, place) for mistake in mistakes))
    try:
        tree = _tree(text)
    except Unexpected as error:
        raise SpecError(_diagnostic(advice(text, error, is_condition=True), place)) from None
    reader = _Reader(place)
    expr: Expr = fold(tree, reader.rules)
    if reader.found:
        raise SpecError(*reader.found)
    return expr


@lru_cache(maxsize=256)
def _tree(text: str) -> Any:
    """The same conditions come again and again: in files, and in the points of a space."""
    return parse(text, "condition")


def place_in(leaf: Leaf) -> Place:
    """Where the characters of a string stand in its source; the whole string where they aren't there one by one."""
    at = leaf.span.text.find(str(leaf.value))
    start = leaf.span.start + at
    source = leaf.span.source
    return lambda first, last: leaf.span if at < 0 else Span(source, start + first, start + last)


def _diagnostic(mistake: Mistake, place: Place) -> Diagnostic:
    if mistake.limit:
        return errors.TooLarge(span=place(mistake.start, mistake.end), what=mistake.problem, limit=mistake.limit)
    return errors.BadCondition(
        span=place(mistake.start, mistake.end),
        problem=mistake.problem,
        hint=mistake.hint,
        here=mistake.here,
        also=mistake.labels(place),
    )


class _Reader:
    """Makes expressions of the grammar's rules."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.found: list[Diagnostic] = []
        self.rules: dict[str, Callable[[Sequence[Any]], Any]] = {
            "condition": lambda children: self.expr(children[0]),
            "disjunction": lambda children: self.logic("or", children),
            "conjunction": lambda children: self.logic("and", children),
            "negation": lambda children: Not(self.expr(children[1]), self.span(children)),
            "comparison": self.comparison,
            "sum": self.arithmetic,
            "product": self.arithmetic,
            "negative": lambda children: negated(self.expr(children[1]), self.span(children)),
            "parentheses": lambda children: replace(self.expr(children[1]), span=self.span(children)),
        }

    def logic(self, word: Any, children: Sequence[Any]) -> Expr:
        return Logic(word, tuple(map(self.expr, children[::2])), self.span(children))

    def comparison(self, children: Sequence[Any]) -> Expr:
        left, sign, right = children
        return Comparison(str(sign), self.expr(left), self.expr(right), self.span(children))  # type: ignore[arg-type]

    def arithmetic(self, children: Sequence[Any]) -> Expr:
        first, *others = map(self.expr, children[::2])
        rest = tuple(zip(map(str, children[1::2]), others, strict=True))
        return Arithmetic(first, rest, self.span(children))  # type: ignore[arg-type]

    def span(self, children: Sequence[Any]) -> Span:
        first, last = (self.expr(child).span for child in (children[0], children[-1]))
        return first.join(last)

    def expr(self, child: Any) -> Expr:
        """An expression as it is, or of a token."""
        if not isinstance(child, str):
            return child  # type: ignore[no-any-return]
        token: Any = child
        span = self.place(token.start_pos, token.end_pos)
        match token.type:
            case "NUMBER" | "PERCENTAGE":
                return self.literal(literals.number, token, span)
            case "STRING" | "LONG_STRING":
                return self.literal(literals.string, token, span)
            case "NAME" | "CONTROL":
                return Name(str(token), span)
            case "DOLLAR":
                return Name(token[1:], span, is_param=True)
            case _:
                return Constant(token == "true", span)

    def literal(self, read: Callable[[str], Value], token: str, span: Span) -> Expr:
        try:
            return Constant(read(str(token)), span)
        except ValueError as error:
            self.found.append(errors.BadCondition(span=span, problem=str(error)))
            return Constant(0, span)


# ---- what it reads


def names(expr: Expr) -> frozenset[str]:
    """All names in it, those of parameters without their `$`."""
    return frozenset(name.name for name in names_within(expr))


def names_within(expr: Expr) -> list[Name]:
    """Every name in it, each with its place."""
    return [part for part in _within(expr) if isinstance(part, Name)]


def size(expr: Expr) -> int:
    """How many parts it has."""
    return len(_within(expr))


def _within(expr: Expr) -> list[Expr]:
    found = [expr]
    for part in found:
        found += parts(part)
    return found


def bound(expr: Expr, params: Mapping[str, Value]) -> Expr:
    """The same with the value of each `$k` that is given in its place."""
    match expr:
        case Name(is_param=True) if expr.name in params:
            return Constant(params[expr.name], expr.span)
        case _:
            return rebuilt(expr, tuple([bound(part, params) for part in parts(expr)]))


def constant(expr: Expr) -> Value | None:
    """Its value, if no names are left."""
    return None if names(expr) else evaluate(expr, {})


# ---- what it comes to


def evaluate(expr: Expr, values: Mapping[str, Value]) -> Value:
    """Its value, where names have these values. Total: what has no value counts as 0, and so does `x / 0`."""
    match expr:
        case Constant():
            return expr.value
        case Name():
            return values.get(expr.name, 0.0)
        case Negative():
            return -_number(evaluate(expr.operand, values))
        case Arithmetic():
            total = _number(evaluate(expr.first, values))
            for sign, operand in expr.rest:
                total = _calculated(sign, total, _number(evaluate(operand, values)))
            return total
        case Comparison():
            return _compared(expr.operator, evaluate(expr.left, values), evaluate(expr.right, values))
        case Not():
            return not evaluate(expr.operand, values)
        case Logic():
            return _decided(expr, values)


def _decided(expr: Logic, values: Mapping[str, Value]) -> bool:
    for operand in expr.operands:
        if bool(evaluate(operand, values)) is (expr.operator == "or"):
            return expr.operator == "or"
    return expr.operator == "and"


_LARGEST = 1e300


def _number(value: Value) -> float:
    """A number that can be counted with: neither huge nor undefined."""
    if isinstance(value, str) or value != value:
        return 0.0
    return float(max(-_LARGEST, min(_LARGEST, value)))


def _calculated(sign: str, left: float, right: float) -> float:
    match sign:
        case "+":
            return _number(left + right)
        case "-":
            return _number(left - right)
        case "*":
            return _number(left * right)
        case _:
            return _number(left / right) if right else 0.0


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _compared(sign: str, left: Value, right: Value) -> bool:
    if not (isinstance(left, str) and isinstance(right, str)):
        if isinstance(left, str) or isinstance(right, str):
            return sign == "!="
        left, right = _number(left), _number(right)
    return _SIGNS[sign](left, right)


# ---- its text


def text_of(expr: Expr) -> str:
    """Its canonical text, which is read as the same expression."""
    match expr:
        case Constant():
            return _constant_text(expr.value)
        case Name():
            return f"${expr.name}" if expr.is_param else expr.name
        case Negative():
            return f"-{_inside(expr.operand, 7)}"
        case Arithmetic():
            above = _height(expr) + 1
            rest = "".join([f" {sign} {_inside(operand, above)}" for sign, operand in expr.rest])
            return _inside(expr.first, above) + rest
        case Comparison():
            return f"{_inside(expr.left, 4)} {expr.operator} {_inside(expr.right, 4)}"
        case Not():
            return f"not {_inside(expr.operand, 3)}"
        case Logic():
            return f" {expr.operator} ".join([_inside(operand, _height(expr) + 1) for operand in expr.operands])


def _inside(expr: Expr, least: int) -> str:
    """Its text, in parentheses where it binds less than needed."""
    return text_of(expr) if _height(expr) >= least else f"({text_of(expr)})"


def _height(expr: Expr) -> int:
    """How tightly an expression binds: `or` 0, `and` 1, `not` 2, comparisons 3, sums 4, products 5, `-` 6, others 7."""
    match expr:
        case Logic():
            return 0 if expr.operator == "or" else 1
        case Not():
            return 2
        case Comparison():
            return 3
        case Arithmetic():
            return 5 if expr.is_product else 4
        case Negative():
            return 6
        case Constant(value=int() | float() as value) if not isinstance(value, bool) and value < 0:
            return 6
        case _:
            return 7


_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def _constant_text(value: Value) -> str:
    if isinstance(value, str):
        escaped = (_ESCAPES.get(c, c if c.isprintable() or c > "\uffff" else f"\\u{ord(c):04x}") for c in value)
        return f'"{"".join(escaped)}"'
    return repr(value).lower()
