"""What is wrong with a condition."""

from __future__ import annotations

from typing import ClassVar

from archc.diagnostics import Diagnostic, Severity


class BadCondition(Diagnostic):
    """A condition that cannot be read."""

    title = "this is not a condition: {problem}"
    label = "{here}"
    help = "{hint}"
    problem: str
    hint: str = ""
    here: str = "here"


class UnknownName(Diagnostic):
    """A name in a condition that stands for nothing."""

    title = "there is no `{word}` to look at in a condition"
    label = "not known here"
    help = "{hint}"
    word: str
    hint: str


class UnitMismatch(Diagnostic):
    """Two values in a condition that do not go together."""

    title = "{one} {verb} {other}"
    label = "this is {one}"
    help = "put values of one kind, or plain numbers, on both sides"
    one: str
    verb: str
    other: str


class NotTrueOrFalse(Diagnostic):
    """A number or a string where a condition must be true or false."""

    title = "a condition is true or false, not {got}"
    label = "this is {got}"
    help = "compare it: `{example}`"
    got: str
    example: str


class NotANumber(Diagnostic):
    """Arithmetic with what is no number."""

    title = "one cannot calculate with {got}"
    label = "this is {got}"
    help = "use numbers here"
    got: str


class NoOrder(Diagnostic):
    """`<` and the like between values that have no order."""

    title = "`{operator}` orders numbers, not {what}"
    label = "compared here"
    help = "use `==` or `!=`"
    operator: str
    what: str


class NotAShare(Diagnostic):
    """A share compared with a number that no share has."""

    title = "a share lies between 0 and 1, so it is never {number}"
    label = "not a share"
    help = "{hint}"
    number: str
    hint: str


class HoldsOfOne(Diagnostic):
    """The condition of an `until` holds of its first copy, whatever that says."""

    severity: ClassVar[Severity] = "warning"
    title = "`{condition}` holds of a single answer, so this ends after its first copy"
    label = "one answer always agrees with itself"
    help = "ask for more of them: `{condition} and count >= 3`"
    condition: str


class UnlimitedLeft(Diagnostic):
    """A condition asks what is left of something that no budget limits."""

    title = "no budget limits {what} here, so `left.{what}` is not known"
    label = "asked here"
    help = "set one: `budget: {{{what}: …}}`, around this step or for the whole spec"
    what: str
