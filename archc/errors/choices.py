"""What is wrong with the choices of a spec, what closes them, and what it requires of its params."""

from __future__ import annotations

from archc.diagnostics import Diagnostic, Label
from archc.source import Span


class OpenChoice(Diagnostic):
    """A spec with open choices where a closed one is needed."""

    title = "the spec leaves {number} open: {paths}"
    label = "a choice"
    help = "close it with `{example}`; `archc space` lists all choices of a spec"
    number: str
    paths: str
    example: str


class NoSuchChoice(Diagnostic):
    """A path that names no choice."""

    title = "there is no choice `{path}`"
    label = "given here"
    help = "{hint}"
    path: str
    hint: str


class NoSuchOption(Diagnostic):
    """A value that a choice does not offer."""

    title = "the choice `{path}` has no option `{value}`"
    label = "given here"
    help = "it offers {offer}"
    path: str
    value: str
    offer: str

    @classmethod
    def at(cls, span: Span, choice: Span, path: str, value: str, offer: str) -> NoSuchOption:
        """With the choice shown too."""
        return cls(span=span, path=path, value=value, offer=offer, also=(Label(choice, "the choice"),))


class ChoiceNotThere(Diagnostic):
    """A value for a choice inside an option that is not taken."""

    title = "there is no choice `{path}` where `{parent}`"
    label = "not there then"
    help = "leave it out, or choose `{needed}`"
    path: str
    parent: str
    needed: str


class BrokenRequirement(Diagnostic):
    """Parameters against what the spec requires."""

    title = "the spec requires `{requirement}`, {problem}"
    label = "required here"
    help = "{hint}"
    requirement: str
    problem: str
    hint: str


class UnfitRequirement(Diagnostic):
    """A requirement over something that is no parameter, or has no value to compare."""

    title = "the requirement cannot be decided: {problem}"
    label = "required here"
    help = "{hint}"
    problem: str
    hint: str


class NoPoint(Diagnostic):
    """A search space of which nothing meets the requirements."""

    title = "{tried} meets what the spec requires"
    label = "required here"
    help = "relax a requirement, or offer more options"
    tried: str


class EndlessSpace(Diagnostic):
    """A list of all points, of a space with real numbers."""

    title = "`{path}` may be any number in {numbers}, so the points cannot be listed"
    label = "no step"
    help = "give it a step (`{numbers} step …`), close it, or take a sample"
    path: str
    numbers: str
