"""Recorded: the sessions in a file that `--trace` wrote, whatever a kill left of its lines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from archc import errors
from archc.diagnostics import SpecError
from archc.runtime.trace import Event


@dataclass(frozen=True)
class Recording:
    """The events of one session, in their order; there is at least one."""

    events: tuple[Event, ...]

    @property
    def began(self) -> float | None:
        """Seconds since 1970, if the trace says."""
        first = self.events[0]
        return float(first["time"]) if first["event"] == "session" else None

    @property
    def seconds(self) -> float:
        """How long it went on, as far as it is recorded."""
        return float(self.events[-1]["at"])


@dataclass(frozen=True)
class Recorded:
    """All that a file holds."""

    sessions: tuple[Recording, ...]
    torn: int
    """Lines that are no event: a kill tears the last one, and later sessions go on behind it."""


def read_trace(path: Path) -> Recorded:
    """What `--trace` wrote. Raises SpecError if the file cannot be read or holds no event."""
    sessions: list[list[Event]] = []
    torn = 0
    try:
        with path.open("rb") as file:
            for line in file:
                events, whole = _events(line)
                torn += not whole
                for event in events:
                    if not sessions or event["event"] == "session" or event["at"] < sessions[-1][-1]["at"]:
                        sessions.append([])
                    sessions[-1].append(event)
    except OSError as error:
        raise SpecError(errors.NoSuchFile(path=str(path), problem=error.strerror or str(error))) from None
    if not sessions:
        raise SpecError(errors.NoTrace(path=str(path)))
    return Recorded(tuple(Recording(tuple(events)) for events in sessions), torn)


def sent_at(call: Event) -> float:
    """When the request of a `call` left, in seconds of the session; without that, when its attempt began."""
    end, sent = float(call["at"]), call.get("sent")
    return min(float(sent), end) if sent is not None else max(0.0, end - call["seconds"])


_BEGINS: Final = (b'{"event":"', b'{"event": "')
"""How each line begins, now and in older traces."""


def _events(line: bytes) -> tuple[list[Event], bool]:
    """The events of a line, and whether nothing is lost: one may have been written right behind a torn one."""
    if not line.strip():
        return [], True
    if event := _event(line):
        return [event], True
    start = max(0, *map(line.rfind, _BEGINS))
    events = [event for piece in (line[:start], line[start:]) if (event := _event(piece))]
    return events, len(events) == 2


def _event(text: bytes) -> Event | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        return None
    needed = ("at", *_NEEDED.get(record["event"], ()))
    fields = _FIELDS if record["event"] == "session" else _ELSEWHERE
    right = all(is_right(record[key]) for key, is_right in fields.items() if key in record)
    return record if right and all(key in record for key in needed) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value < 1e12


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1e12


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_count, value))


def _are_models(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(model, dict) and all(map(_is_text, model.values())) for model in value.values()
    )


def _fields() -> Iterator[tuple[str, Callable[[Any], bool]]]:
    yield from dict.fromkeys(("query", "node", "model", "outcome", "state", "status", "path", "span"), _is_text).items()
    yield from dict.fromkeys(("at", "seconds", "usd", "time"), _is_number).items()
    yield from dict.fromkeys(("calls", "attempt", "prompt_tokens", "completion_tokens"), _is_count).items()
    yield from dict.fromkeys(("tests", "passed"), _is_count).items()
    yield from dict.fromkeys(("cached_tokens", "reasoning_tokens"), _or_none(_is_count)).items()
    yield from {"sent": _or_none(_is_number), "server": _or_none(_is_text)}.items()
    yield from {"samples": _is_list, "models": _are_models}.items()


_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = dict(_fields())
"""What the values of an event must be, where they are there."""
_ELSEWHERE: Final = {key: check for key, check in _FIELDS.items() if key != "models"}
"""The same for all but `session`: a note may name models in another way."""

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "session": ("time",),
    "question": ("query",),
    "answer": ("query", "status"),
    "node": ("query", "node", "state"),
    "call": ("query", "node", "model", "samples", "seconds", "outcome", "prompt_tokens", "completion_tokens"),
    "executed": ("query", "node", "tests", "passed", "seconds"),
    "note": ("query", "node", "note"),
    "refused": ("query", "node", "calls"),
}
"""What must be there for the exporters, by kind of event."""
