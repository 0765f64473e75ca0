"""Trace: what happened, as events. Everything that watches a run listens here: files, tables, progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from archc import errors
from archc.diagnostics import Diagnostic, SpecError

Event = Mapping[str, Any]
"""A JSON-ready fact: `event` names its kind, `at` is seconds since the session began, `query` the question's id."""

Listener = Callable[[Event], None]


class Trace:
    """Gives every event to every listener, in the order in which things happened."""

    def __init__(self, clock: Callable[[], float], start: float, listeners: Sequence[Listener]) -> None:
        """`start` is the clock's reading when the session began. Listeners must not raise."""
        self._clock = clock
        self._start = start
        self._listeners = tuple(listeners)

    def at(self, moment: float) -> float:
        """A reading of the clock as seconds since the session began."""
        return round(moment - self._start, 6)

    def emit(self, event: str, **data: Any) -> None:
        """Records that something happened now."""
        record = {"event": event, "at": self.at(self._clock()), **data}
        for listener in self._listeners:
            listener(record)


def _line(event: Event) -> bytes:
    try:
        return to_json(event) + b"\n"
    except PydanticSerializationError:  # half a surrogate pair
        return (json.dumps(event, ensure_ascii=False) + "\n").encode(**AS_JSON)


AS_JSON: Final[Any] = {"encoding": "utf-8", "errors": "backslashreplace"}
"""How to open a file for JSON: half a surrogate pair, which is no Unicode, becomes the escape that JSON has for it."""


class JsonlFile:
    """A listener that appends each event to a file as one line of JSON. No trouble with the file ends a paid run."""

    trouble: Diagnostic | None = None
    """Why events are missing, if any are."""

    def __init__(self, path: Path) -> None:
        """Raises SpecError if the file cannot be opened."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._path, self._file = path, path.open("ab")
        except OSError as error:
            raise SpecError(errors.NotWritable(path=str(path), problem=error.strerror or str(error))) from None

    def __call__(self, event: Event) -> None:
        if self.trouble is None and event["event"] != "sending":  # that is for who watches; `call` says when it left
            try:
                self._file.write(_line(event))
            except OSError as error:
                self._notice(error)

    def close(self) -> None:
        """Writes what is left."""
        try:
            self._file.close()
        except OSError as error:
            self._notice(error)

    def _notice(self, error: OSError) -> None:
        self.trouble = errors.NotWritable(path=str(self._path), problem=error.strerror or str(error))
