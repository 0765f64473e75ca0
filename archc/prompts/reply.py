"""Replies: structured judgements read from a model, by constrained decoding where the backend has it.

A reply is read only as a whole: a JSON object inside prose does not count, since a judge that quotes a candidate
would let the candidate speak. What cannot be read is asked for once more, and then is a `Failed`.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from archc.calls import Ask, Completion, Conversation, Failed, FailureKind, Finish, Message, Sampling

_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_CODE_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class Reply(BaseModel):
    """Base of what an op wants to be told; its fields make the JSON Schema."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"additionalProperties": False})

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads the form that models without constrained decoding tend to give; none by default."""
        return None


R = TypeVar("R", bound=Reply)


def schema_of(kind: type[Reply], **changes: Any) -> str:
    """The JSON Schema of a reply as text; `changes` update single properties."""
    if not changes:
        return _base_text(kind)
    schema = _base_schema(kind)
    properties = schema["properties"]
    changed = {name: {**properties[name], **change} for name, change in changes.items()}
    return json.dumps({**schema, "properties": {**properties, **changed}}, sort_keys=True)


@cache
def _base_schema(kind: type[Reply]) -> dict[str, Any]:
    """Making it takes longer than all else about a call."""
    return kind.model_json_schema()


@cache
def _base_text(kind: type[Reply]) -> str:
    return json.dumps(_base_schema(kind), sort_keys=True)


def read_reply(kind: type[R], text: str) -> R | None:
    """The reply in `text`, or None. A leading `<think>` block and one surrounding code fence are dropped."""
    body = _THINKING.sub("", text).strip()
    match = _CODE_FENCE.match(body)
    try:
        return kind.model_validate_json(match[1] if match else body)
    except ValidationError:
        return kind.from_text(body)


async def ask_reply(
    ask: Ask,
    model: str,
    messages: Conversation,
    sampling: Sampling,
    kind: type[R],
    *,
    prompt: str,
    schema: str | None = None,
    n: int = 1,
    first: int = 0,
    repair: bool = True,
) -> list[R | Failed]:
    """Asks for `n` replies; each unreadable one is asked for once more if `repair`, all at once."""
    schema = schema or schema_of(kind)
    completions = await ask(model, messages, sampling, prompt=prompt, n=n, first=first, schema=schema)

    replies = [_read(kind, completion) for completion in completions]

    async def repaired(place: int, text: str) -> None:
        again = (*messages, Message("assistant", text), Message("user", _REPAIR.format(schema=schema)))
        [second] = await ask(model, again, sampling, prompt=f"{prompt}.repair", first=first + place, schema=schema)
        replies[place] = _read(kind, second)

    async with asyncio.TaskGroup() as group:
        for place, (reply, completion) in enumerate(zip(replies, completions, strict=True)):
            if repair and isinstance(reply, Failed) and isinstance(completion, Completion):
                group.create_task(repaired(place, completion.text))
    return replies


def _read(kind: type[R], completion: Completion | Failed) -> R | Failed:
    if isinstance(completion, Failed):
        return completion
    reply = read_reply(kind, completion.text)
    if reply is not None:
        return reply
    cut = " (cut off at max_tokens)" if completion.finish is Finish.LENGTH else ""
    shown = completion.text.strip()[:80]
    return Failed(FailureKind.UNPARSABLE, f"not a {kind.__name__.lower()}{cut}: {shown!r}")


_REPAIR = """That reply could not be read. Answer again with nothing but one JSON object that follows this schema:
{schema}"""
REPAIR_BYTES = len(_REPAIR.encode()) + 1200
"""The most that a repair question adds beside the first reply, in bytes; schemas stay below 1,200."""
