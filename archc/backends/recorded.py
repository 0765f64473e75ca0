"""recorded: answers that models gave once, from a file: ensembles, votes and cascades of dozens of models without any.

It answers the question itself and nothing else: no judge, critic or fuser was recorded. Nothing here costs money.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from archc.calls import (
    Backend,
    BackendOptions,
    CallError,
    Capabilities,
    Completion,
    FailureKind,
    KeyFor,
    Request,
    Usage,
)
from archc.diagnostics import RunError, did_you_mean
from archc.errors import UnusablePool

MODEL, SAMPLE = "{model}", "{sample}"


class Recorded(Backend):
    """One model's column in a pool of recorded answers: a JSONL file, plain or as `.gz`, with a record a question.

    `answers` is the way to a text within a record: keys and positions, with `{model}` and `{sample}` for those asked
    for. `{model}` is a key, or a position in the list `models` of the first record, which then is a header. A sample
    is one of the list, in its order from the call's seed on, so that as many as there are come without one twice.
    """

    class Options(BackendOptions):
        """Where the answers are."""

        file: str
        """The pool: JSONL, plain or compressed with gzip."""
        answers: str = "answers.{model}.{sample}"
        """The way to an answer within a record: `answers.{model}.{sample}`, `preds.{model}`, `response.{sample}`, …"""
        questions: str = ""
        """Another JSONL file with `id` and `question`, for a pool that has no questions."""

    capabilities: ClassVar = Capabilities(n=True, seed=True)

    def __init__(self, model: str, options: Options, key_for: KeyFor) -> None:
        self._model = model
        self._options = options

    @property
    def fingerprint(self) -> str:
        return f"recorded:{self._model} {self._options.answers} {self._pool().digest[:16]}"

    async def start(self) -> None:
        pool = self._pool()
        known = pool.models or (
            sorted(_first_of(pool, self._options.answers)) if MODEL in self._options.answers else ()
        )
        is_position = not pool.models and self._model.isdecimal()
        if known and self._model not in known and not is_position:
            hint = did_you_mean(self._model, known) or "it has " + ", ".join(f"`{name}`" for name in known[:_SHOWN])
            raise _unusable(self._options.file, f"it has no model `{self._model}`", hint)

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        asked = request.messages[-1].content
        if request.schema is not None or asked != request.purpose.question:
            problem = f"a recorded model only answers the question; nothing is recorded of `{request.purpose.op}`"
            raise CallError(FailureKind.BAD_REQUEST, problem)
        record = self._pool().find(asked)
        if record is None:
            raise CallError(FailureKind.BAD_REQUEST, f"the question is not in the pool `{self._options.file}`")
        prompt = Usage(prompt=_tokens("".join(message.content for message in request.messages)))
        drawn = [self._drawn(record, seed) for seed in request.seeds]
        return tuple(
            Completion(text, usage=Usage(completion=_tokens(text)) + (prompt if i == 0 else Usage()))
            for i, text in enumerate(drawn)
        )

    def _pool(self) -> Pool:
        return read_pool(self._options.file, self._options.questions)

    def _drawn(self, record: Mapping[str, Any], seed: int) -> str:
        value: Any = record
        for part in self._options.answers.split("."):
            value = _within(value, self._pool().position(self._model, part), part, seed)
        if isinstance(value, dict | list) or value is _MISSING:
            problem = f"`{self._model}` has no answer to the question at `{self._options.answers}` in the pool"
            raise CallError(FailureKind.BAD_REQUEST, problem)
        return value if isinstance(value, str) else "" if value is None else json.dumps(value)


@dataclass(frozen=True)
class Pool:
    """The records of a file."""

    records: Sequence[Mapping[str, Any]] = field(repr=False)
    models: tuple[str, ...]
    """What the header names; empty without one."""
    digest: str
    _by_text: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """By question, or by id where there is none."""
    _found: dict[str, Mapping[str, Any] | None] = field(default_factory=dict, repr=False)

    def find(self, text: str) -> Mapping[str, Any] | None:
        """The record of the question that is asked in a text: the longest that is in it, or the id that is."""
        if text not in self._found:
            mine = self._by_text.get(text.strip())
            inside = (key for key in self._by_text if key in text and _stands_alone(key, text)) if mine is None else ()
            longest = max(inside, key=len, default=None)
            self._found[text] = mine if longest is None else self._by_text[longest]
        return self._found[text]

    def position(self, model: str, part: str) -> str:
        """What a part of the way is, for a model: a name, or a position."""
        if part == MODEL:
            return str(self.models.index(model)) if model in self.models else model
        return part


_MISSING: Any = object()
_SHOWN = 8
_BYTES_PER_TOKEN = 4


def read_pool(path: str, questions: str = "") -> Pool:
    """The pool in a file, read once, with the questions of another. Raises RunError."""
    return _read(path, questions, tuple(_stamp(one) for one in (path, questions) if one))


def _stamp(path: str) -> tuple[int, int]:
    try:
        about = Path(path).expanduser().stat()
    except (OSError, ValueError) as error:
        raise _unusable(path, getattr(error, "strerror", "") or str(error)) from None
    return about.st_size, about.st_mtime_ns


@lru_cache(maxsize=16)
def _read(path: str, questions: str, stamps: tuple[tuple[int, int], ...]) -> Pool:
    """`stamps` tell a changed file from the one that was read."""
    content, records = _records(path)
    header = records[0].get("models")
    has_header = isinstance(header, list) and "question" not in records[0] and all(isinstance(n, str) for n in header)
    models = tuple(header) if has_header and header else ()
    records = records[1:] if has_header else records
    if questions:
        more, others = _records(questions)
        texts = {str(record.get("id")): record.get("question") for record in others}
        records = [{**record, "question": texts.get(str(record.get("id")))} for record in records]
        content += more
    return Pool(records, models, sha256(content).hexdigest(), _index(records))


def _records(path: str) -> tuple[bytes, list[dict[str, Any]]]:
    try:
        content = Path(path).expanduser().read_bytes()
        lines = (gzip.decompress(content) if path.endswith(".gz") else content).decode("utf-8-sig").split("\n")
        records = [json.loads(line) for line in lines if line.strip()]
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise _unusable(path, f"it is no JSONL: {error}") from None
    if not records or not all(isinstance(record, dict) for record in records):
        raise _unusable(path, "not every line of it is a JSON object" if records else "it is empty")
    return content, records


def _index(records: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    texts = ((record.get("question") or record.get("id"), record) for record in records)
    return {str(text).strip(): record for text, record in texts if text}


def _first_of(pool: Pool, way: str) -> Sequence[str]:
    """The names at the place of `{model}` in the first record."""
    value: Any = pool.records[0] if pool.records else {}
    for part in way.split("."):
        if part == MODEL:
            break
        value = _within(value, part, part, 0)
    return list(value) if isinstance(value, dict) else []


def _within(value: Any, name: str, part: str, seed: int) -> Any:
    """One step of the way."""
    if part == SAMPLE:
        return value[seed % len(value)] if isinstance(value, list) and value else value
    if isinstance(value, dict):
        return value.get(name, _MISSING)
    if isinstance(value, list | str) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return _MISSING


def _stands_alone(key: str, text: str) -> bool:
    """Whether it is not a part of a longer word or number."""
    return re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text) is not None


def _tokens(text: str) -> int:
    """About how many tokens a text had; what was counted then is not known."""
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)


def _unusable(path: str, problem: str, hint: str = "") -> RunError:
    return RunError(UnusablePool(path=path, problem=problem, hint=hint or "archc ops recorded --backends"))
