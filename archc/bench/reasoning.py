"""Reasoning: whether an answer solves a puzzle of reasoning-gym. What that package runs on answers is not run here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from archc.bench.graders import Grade, is_worth, same_text, value, whole

_STEPS: Final = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_MOVE: Final = re.compile(r"Move disk (\d{1,3}) from Peg (\d{1,3}) to Peg (\d{1,3})", re.IGNORECASE)


def graded_reasoning(answer: str, golds: Sequence[str], record: Mapping[str, Any]) -> Grade:
    """All or nothing: what the puzzle asks for where there are several answers, else the right one."""
    meta = record.get("meta")
    family, entry = (str(meta.get("family")), meta.get("entry")) if isinstance(meta, Mapping) else ("", None)
    if any(same_text(answer) == same_text(gold) or value(answer) == value(gold) for gold in golds):
        return whole(True)
    try:
        return whole(family in SOLVED and SOLVED[family](answer, entry or {}))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return Grade(False, 0.0, why="the data does not have the puzzle")


def _countdown(answer: str, entry: Mapping[str, Any]) -> bool:
    return is_worth(answer, list(map(str, entry["numbers"])), int(entry["target"]))


def _puzzle24(answer: str, entry: Mapping[str, Any]) -> bool:
    return is_worth(answer, list(map(str, entry["numbers"])), 24)


def _shortest_path(answer: str, entry: Mapping[str, Any]) -> bool:
    """A way of open cells, as short as the shortest."""
    cells = {(y, x): cell for y, row in enumerate(entry["matrix"]) for x, cell in enumerate(row)}
    steps = answer.lower().replace(",", " ").split()
    if len(steps) != len(entry["solution"]) or not set(steps) <= _STEPS.keys():
        return False
    place = next(place for place, cell in cells.items() if cell == "*")
    for step in steps:
        place = place[0] + _STEPS[step][0], place[1] + _STEPS[step][1]
        if cells.get(place, "X") == "X":
            return False
    return bool(steps) and cells[place] == "#"


def _tower_of_hanoi(answer: str, entry: Mapping[str, Any]) -> bool:
    """Moves that are allowed and end on the right peg, as few as can be."""
    pegs: dict[int, list[int]] = {peg: [] for peg in range(1, entry["num_pegs"] + 1)}
    pegs[entry["start_peg"]] = list(range(entry["num_disks"], 0, -1))
    moves = [tuple(map(int, move)) for move in _MOVE.findall(answer)]
    if len(moves) != entry["solution_length"]:
        return False
    for disk, start, end in moves:
        if start not in pegs or end not in pegs or pegs[start][-1:] != [disk] or (pegs[end] and pegs[end][-1] < disk):
            return False
        pegs[end].append(pegs[start].pop())
    return len(pegs[entry["target_peg"]]) == int(entry["num_disks"])


_ONE: Final = """basic_arithmetic chain_sum gsm_symbolic leg_counting simple_equations letter_counting number_sorting
spell_backward word_sorting caesar_cipher base_conversion number_sequence family_relationships syllogism knights_knaves
mini_sudoku calendar_arithmetic time_intervals binary_alternation count_primes maze coin_flip gcd lcm"""
ONE_ANSWER: Final = frozenset(_ONE.split())
"""Families with one right answer, though the package may give others a part of a point."""
SOLVED: Final[Mapping[str, Callable[[str, Mapping[str, Any]], bool]]] = {
    "countdown": _countdown,
    "puzzle24": _puzzle24,
    "shortest_path": _shortest_path,
    "tower_of_hanoi": _tower_of_hanoi,
}
"""Families of which an answer is worked out here, since there are several right ones."""
