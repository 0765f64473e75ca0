"""Perfetto: a trace in the JSON trace-event format, which ui.perfetto.dev and chrome://tracing show as a timeline.

A process for each question, in it lanes for each node, its calls and its tests; a process of its own for the counters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from archc.exporters.recorded import Recording, sent_at
from archc.runtime.trace import Event

GAP_S: Final = 1.0
"""Between sessions: they are laid one after the other, since days may lie between them."""

_TOLD: Final = frozenset({"event", "at", "query", "node", "answer", "histogram", "seconds", "state"})
"""What a slice's details leave out: what the picture says already, and what models answered."""


@dataclass(frozen=True, order=True)
class _Slice:
    """Something that lasted, in seconds of the session."""

    start: float
    end: float
    name: str = field(compare=False)
    about: dict[str, Any] = field(compare=False)


Track = tuple[str, str, str]
"""A question, a node (empty for the question itself), and what is shown of it."""


def perfetto(sessions: Sequence[Recording]) -> dict[str, Any]:
    """The whole file, JSON-ready."""
    pids, tids = count(2), count(1)
    events = [*_named("process", 1, 0, "run", 0)]
    start = 0.0
    for number, session in enumerate(sessions, 1):
        tracks = _tracks(session)
        shown = f"session {number}, question " if len(sessions) > 1 else "question "
        processes = {query: next(pids) for query in dict.fromkeys(query for query, _, _ in tracks)}
        for query, pid in processes.items():
            events += _named("process", pid, 0, shown + query, pid)
        marks: dict[tuple[str, str], tuple[int, int]] = {}
        for (query, node, kind), slices in tracks.items():
            for lane, those in enumerate(_lanes(slices)):
                tid = next(tids)
                marks.setdefault((query, node), (processes[query], tid))
                name = f"{node} {kind}".strip() + (f" {lane + 1}" if lane else "")
                events += _named("thread", processes[query], tid, name, tid)
                events += (_complete(processes[query], tid, start, one, kind) for one in those)
        events += _instants(session, start, marks)
        events += _counters(session, start)
        start += session.seconds + GAP_S
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _tracks(session: Recording) -> dict[Track, list[_Slice]]:
    """What lasted, by track. What has no end in the trace was cut off by the end of the session."""
    tracks: dict[Track, list[_Slice]] = defaultdict(list)
    begun: dict[tuple[str, str, str], Event] = {}

    def ended(query: str, node: str, path: str, last: Event, **more: Any) -> None:
        first = begun.pop((query, node, path), None)
        if first is not None:
            kind, name = ("", node) if node else ("question", query)
            about = {**_about(first), **_about(last), **more}
            tracks[query, node, kind].append(_Slice(first["at"], last["at"], name, about))

    for event in session.events:
        query, node, path = event.get("query", ""), event.get("node", ""), event.get("path", "")
        match event["event"]:
            case "question":
                begun[query, "", ""] = event
                tracks.setdefault((query, "", "question"), [])  # above its nodes, which are done before it
            case "answer":
                ended(query, "", "", event)
            case "node" if event["state"] == "started":
                begun[query, node, path] = event
                tracks.setdefault((query, node, ""), [])
            case "node":
                ended(query, node, path, event)
            case "call" | "executed" as kind:
                name, lasted = _LASTING[kind]
                tracks[query, node, name].append(lasted(event))
    for query, node, path in tuple(begun):
        ended(query, node, path, {"at": session.seconds}, unfinished=True)
    return tracks


def _call(event: Event) -> _Slice:
    sent, tried = sent_at(event), event["at"] - event["seconds"]
    about = {**_about(event), "waited_seconds": round(max(0.0, sent - tried), 6)}
    failed = "" if event["outcome"] == "ok" else f" ({event['outcome']})"
    return _Slice(sent, event["at"], f"{event['model']}{failed}", about)


def _tested(event: Event) -> _Slice:
    began = max(0.0, event["at"] - event["seconds"])
    return _Slice(began, event["at"], f"{event['passed']} of {event['tests']} passed", _about(event))


_LASTING: Final = {"call": ("calls", _call), "executed": ("tests", _tested)}
"""What is shown of a node beside itself, and how."""


def _about(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in _TOLD}


def _lanes(slices: list[_Slice]) -> list[list[_Slice]]:
    """The slices in as few rows as they fit in: those in a row do not overlap."""
    lanes: list[list[_Slice]] = []
    for one in sorted(slices):
        free = next((lane for lane in lanes if lane[-1].end <= one.start), None)
        if free is None:
            lanes.append([one])
        else:
            free.append(one)
    return lanes


def _counters(session: Recording, start: float) -> Iterator[dict[str, Any]]:
    """Calls in flight, and completion tokens a second, each call's spread over its time; by model."""
    changes: list[tuple[float, str, int, float]] = []
    for event in session.events:
        if event["event"] == "call":
            sent, end = sent_at(event), event["at"]
            rate = event["completion_tokens"] / (end - sent) if end > sent and event["outcome"] == "ok" else 0.0
            calls = len(event["samples"])
            changes += [(sent, event["model"], calls, rate), (end, event["model"], -calls, -rate)]
    flying: dict[str, int] = defaultdict(int)
    rates: dict[str, float] = defaultdict(float)
    for at, model, calls, rate in sorted(changes):
        flying[model] += calls
        rates[model] = rates[model] + rate if flying[model] else 0.0  # no rest of rounding
        place = {"ph": "C", "pid": 1, "ts": _us(start + at)}
        yield {**place, "name": "calls in flight", "args": {model: flying[model]}}
        yield {**place, "name": "completion tokens/s", "args": {model: round(max(0.0, rates[model]), 3)}}


def _instants(
    session: Recording, start: float, marks: dict[tuple[str, str], tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    """What happened at a moment, in the first lane of its node."""
    for event in session.events:
        place = marks.get((event.get("query", ""), event.get("node", "")))
        if place and event["event"] in ("note", "refused", "cached"):
            name = str(event.get("note", event["event"]))
            where = {"pid": place[0], "tid": place[1], "ts": _us(start + event["at"])}
            yield {"ph": "i", "s": "t", "name": name, "cat": event["event"], **where, "args": _about(event)}


def _complete(pid: int, tid: int, start: float, one: _Slice, kind: str) -> dict[str, Any]:
    begin = _us(start + one.start)
    length = _us(start + one.end) - begin  # of rounded ends, so that none reaches into the next
    where = {"pid": pid, "tid": tid, "ts": begin, "dur": length}
    return {"ph": "X", "name": one.name, "cat": kind or "node", **where, "args": one.about}


def _named(what: str, pid: int, tid: int, name: str, place: int) -> Iterator[dict[str, Any]]:
    for key, value in (("name", name), ("sort_index", place)):
        yield {"ph": "M", "pid": pid, "tid": tid, "name": f"{what}_{key}", "args": {key: value}}


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
