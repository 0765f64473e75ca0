"""TEMPORARY stand-in."""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
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


@dataclass(frozen=True)
class Expr:
    text: str


def parse_condition(text, place):
    return Expr(text)


def unit_of(e, units, found):
    return Unit.TRUTH


import re


def names(e):
    return frozenset(n for n in re.findall(r"[a-z_.]+", e.text) if n not in ("and", "or", "not", "true", "false"))


def evaluate(e, values):
    t = e.text
    for k, v in sorted(values.items(), key=lambda kv: -len(kv[0])):
        t = re.sub(rf"(?<![\w.]){re.escape(k)}(?![\w.])", repr(v), t)
    return eval(t.replace("true", "True").replace("false", "False"))


def bound(e, params):
    t = e.text
    for k, v in params.items():
        t = t.replace("$" + k, repr(v))
    return Expr(t)


def text_of(e):
    return e.text


def constant(e):
    return None if names(e) else evaluate(e, {})
