"""Tied: the parameters that share requirements, in groups that can be counted and drawn on their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from archc.spec.space.hole import Hole
from archc.spec.space.requirements import Requirement

MAX_WORK = 250_000
"""Parts of points and of requirements that are looked at to count, or to draw one point."""


@dataclass(frozen=True, slots=True)
class Group:
    """Choices, and what is required of them."""

    holes: tuple[Hole, ...]
    requirements: tuple[Requirement, ...]

    def by_param(self) -> Mapping[str, Sequence[Requirement]]:
        """The requirements that read each parameter."""
        found: dict[str, list[Requirement]] = {}
        for requirement in self.requirements:
            for name in requirement.params:
                found.setdefault(name, []).append(requirement)
        return found


def tied(holes: Sequence[Hole], requirements: Iterable[Requirement]) -> tuple[Group, ...]:
    """The open parameters that requirements tie together, directly or through others."""
    is_open = {hole.param for hole in holes if hole.param}
    groups: dict[str, tuple[list[str], list[Requirement]]] = {}
    for requirement in requirements:
        mine = [name for name in requirement.params if name in is_open]
        known = {id(groups[name]): groups[name] for name in mine if name in groups}
        names, required = whole = max(known.values(), key=lambda group: len(group[0]), default=([], []))
        for others, theirs in known.values():
            if others is not names:
                names += others
                required += theirs
                groups |= dict.fromkeys(others, whole)
        required += [requirement] if mine else []
        fresh = [name for name in mine if name not in groups]
        names += fresh
        groups |= dict.fromkeys(fresh, whole)
    inside: dict[int, list[Hole]] = {}
    for hole in holes:
        if hole.param in groups:
            inside.setdefault(id(groups[hole.param]), []).append(hole)
    made = {id(group): group[1] for group in groups.values()}
    return tuple(Group(tuple(inside[key]), tuple(required)) for key, required in made.items())


class TooMuch(Exception):
    """There is more to do than `MAX_WORK`."""


class Work:
    """How much may still be done."""

    def __init__(self) -> None:
        self.left = MAX_WORK

    def done(self, parts: int) -> None:
        """Takes it off. Raises TooMuch."""
        self.left -= parts
        if self.left < 0:
            raise TooMuch
