"""Features: what a server may be able to do, and how each is told: by a published field or route, or by asking."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Reply = Mapping[str, Any]

CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Feature:
    """One thing that a server may be able to do."""

    about: str
    field: str = ""
    """The field of a chat request that asks for it."""
    route: str = ""
    """The route that does it."""
    request: Mapping[str, Any] | None = None
    """A cheap request that shows it; None if it is not to be tried."""
    shows: Callable[[Reply, Reply], bool] | None = None
    """Whether the reply to that shows it; the second one is the first reply that there was."""

    @property
    def asks_at(self) -> str:
        """Where that request goes."""
        return self.route or CHAT


def _chat(**changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Write a random word."}]
    return {"messages": messages, "max_tokens": 8, "temperature": 1.0, "seed": 7, **changes}


def _first(reply: Reply) -> Any:
    return reply["choices"][0]


_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["ultramarine"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA, "strict": True}}
_WORD = "archc"

FEATURES: Mapping[str, Feature] = {
    "text": Feature("writes texts", route=CHAT),
    # The two requests before the others are alike, so that the second one may find the first in the cache.
    "logprobs": Feature(
        "log-probabilities of what it writes",
        "logprobs",
        request=_chat(logprobs=True),
        shows=lambda reply, _: isinstance(_first(reply)["logprobs"]["content"][0]["logprob"], (int, float)),
    ),
    "seed": Feature(
        "the same text for the same seed",
        "seed",
        request=_chat(logprobs=True),
        shows=lambda reply, base: _first(reply)["message"]["content"] == _first(base)["message"]["content"],
    ),
    "cached_tokens": Feature(
        "says how much of a prompt its cache had",
        request=_chat(),
        shows=lambda reply, _: isinstance(reply["usage"]["prompt_tokens_details"]["cached_tokens"], int),
    ),
    "n": Feature(
        "several completions in one request",
        "n",
        request=_chat(n=2, max_tokens=1),
        shows=lambda reply, _: len(reply["choices"]) == 2,
    ),
    "schema": Feature(
        "keeps to a JSON Schema",
        "response_format",
        request=_chat(response_format=_FORMAT, max_tokens=24),
        shows=lambda reply, _: json.loads(_first(reply)["message"]["content"]) == {"colour": "ultramarine"},
    ),
    "prompt_logprobs": Feature(
        "log-probabilities of the prompt",
        "prompt_logprobs",
        request=_chat(prompt_logprobs=0, max_tokens=1),
        shows=lambda reply, _: isinstance(reply["prompt_logprobs"], list),
    ),
    "continuation": Feature("goes on with a text that is begun", "continue_final_message"),
    "stop_token_ids": Feature("stops at given tokens", "stop_token_ids"),
    "tokenize": Feature(
        "cuts a text into tokens",
        route="/tokenize",
        request={"prompt": _WORD, "content": _WORD},
        shows=lambda reply, _: len(reply["tokens"]) > 0,
    ),
    "detokenize": Feature(
        "joins tokens to a text",
        route="/detokenize",
        request={"tokens": [1, 2]},
        shows=lambda reply, _: isinstance(reply.get("prompt", reply.get("content", reply.get("text"))), str),
    ),
    "embeddings": Feature("embeds texts", route="/v1/embeddings"),
    "score": Feature("scores pairs of texts", route="/score"),
    "reward": Feature("a reward model's numbers", route="/pooling"),
}
"""In the order in which they are tried and shown."""
