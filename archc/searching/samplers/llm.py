"""llm: a model reads what was tried, says what it teaches, and proposes what to try next (AgentTTS, arXiv 2508.00890).

Both questions are made anew of all trials each time, so that the same trials ask the same. Whatever the model writes,
only points of the space that may be tried and are new come of it; what is lacking is drawn at random, and noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from archc.calls import CallError
from archc.prompts.template import fill, read_templates
from archc.searching.samplers import Sampler, Setting, Told
from archc.spec.space.hole import Value
from archc.spec.space.points import Point

_SHOWN = 30
"""The best trials that the model sees."""
_LONGEST_REPLY = 50_000
_LONGEST_VALUE = 200
_LONGEST_LESSONS = 4_000
_MOST_READ = 500
"""Objects in a reply that are looked at."""


class Advised(Sampler):
    """Measures a few spread points, then asks a model."""

    name = "llm"
    takes_advice = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._prompts = read_templates(Path(__file__).with_suffix(".txt")).prompts

    async def ask(self, count: int) -> list[Point]:
        size = len(self.domain.holes) + 1
        first = self.domain.spread(Random(f"{self.setting.seed} llm"), size) if len(self.taken) < size else []
        found = [self.take(p) for p in [p for p in first if self._is_new(p)][:count]]
        if len(found) < count and self.told:
            found += await self._advised(count - len(found))
        return found + await super().ask(count - len(found))

    def propose(self) -> Point | None:
        return self.domain.fresh(self.rng(), self.taken)

    async def _advised(self, count: int) -> list[Point]:
        """What the model proposes, as far as it is new; a note says how much of it was."""
        about = {
            "about": self.setting.about or "a benchmark; what is measured is to be as large as possible",
            "choices": self._choices(),
            "trials": self._trials(),
        }
        lessons = (await self._advice("guide", about)).strip()[:_LONGEST_LESSONS] or "nothing yet"
        told = {"lessons": lessons, "count": str(count), "example": _text(self._ranked()[0].point)}
        reply = await self._advice("propose", about | told)
        rng, seen = self.rng("llm"), 0
        found: list[Point] = []
        for wanted in proposals(reply):
            known = self._known(wanted)
            seen += bool(known)
            point = self.domain.repaired(known, rng) if known else None
            if point is not None and self._is_new(point) and len(found) < count:
                found.append(self.take(point))
        if len(found) < count:
            said = f"{seen} proposals were read and {len(found)} of them could be tried" if reply else "no answer came"
            self.notes.append(f"{count - len(found)} of {count} points are random: {said}")
        return found

    async def _advice(self, prompt: str, values: dict[str, str]) -> str:
        if self.setting.advise is None:
            return ""
        try:
            return await self.setting.advise(fill(self._prompts[prompt].user, values))
        except CallError as error:
            self.notes.append(f"the model that advises failed: {error}")
            return ""

    def _is_new(self, point: Point) -> bool:
        return self.domain.holds(point) and self.domain.key(point) not in self.taken

    def _known(self, wanted: dict[str, Any]) -> Point:
        """What an object says of the space's choices, in the space's own values."""
        values: dict[str, Value] = {}
        for hole in self.domain.holes:
            value = wanted.get(hole.path)
            is_short = isinstance(value, str) and len(value) <= _LONGEST_VALUE
            if is_short or isinstance(value, bool | int | float):
                pick = hole.pick(value)
                if pick is not None:
                    values[hole.path] = hole.value(pick)
        return values

    # ---- what the model is shown

    def _choices(self) -> str:
        lines = []
        for hole in self.domain.holes:
            needed = " and ".join(f"{path} is option {option + 1}" for path, option in hole.under)
            lines.append(f"- {hole.path}: {hole.offer()}" + (f" (only where {needed})" if needed else ""))
        return "\n".join(lines)

    def _trials(self) -> str:
        return "\n".join(f"{_text(t.point)} -> {_result(t)}" for t in self._ranked()[:_SHOWN])

    def _ranked(self) -> list[Told]:
        return sorted(self.told, key=lambda t: (not t.is_feasible, [-value for value in t.values], t.number))


def _text(point: Point) -> str:
    return json.dumps(dict(point), ensure_ascii=False)


def _result(trial: Told) -> str:
    values = ", ".join(f"{value:.4g}" for value in trial.values)
    return f"{values} (on {trial.items} questions)" + ("" if trial.is_feasible else ", against a constraint")


def proposals(reply: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a reply, whatever is around them; lists and what objects hold are looked into."""
    text, decoder, at = reply[:_LONGEST_REPLY], json.JSONDecoder(), 0
    for _ in range(_MOST_READ):
        starts = [place for place in (text.find("{", at), text.find("[", at)) if place >= 0]
        if not starts:
            return
        at = min(starts)
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        waiting = [value]
        while waiting:
            one = waiting.pop(0)
            if isinstance(one, dict):
                yield one
            waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
