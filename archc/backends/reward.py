"""reward: a reward model behind a vLLM server, which gives a conversation a number where others write a text."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from archc.backends._openai_reply import bad_response, checked, split_usage
from archc.backends._replicas import Replica
from archc.backends._server import ServerBackend, ServerOptions
from archc.calls import Capabilities, Completion, Conversation, KeyFor, Request


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    data: list[FiniteFloat] | None = None
    score: FiniteFloat | None = None


class _Reply(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    data: list[_Row] = Field(min_length=1, max_length=1)
    usage: Any = None


class Reward(ServerBackend):
    """A reward model behind one or more vLLM servers (`--runner pooling`): the larger its number, the better.

    It is asked without the server's activation, so that what is nearly certain stays apart: a model with one label
    gives its logit, as Bradley-Terry models are trained; one with two the logit of the last against the first.
    """

    class Options(ServerOptions):
        """Where the server is and what it is asked at."""

        route: Literal["pooling", "score"] = "pooling"
        """What it is asked at: `pooling` takes the conversation in the model's own form; `score` the question and the
        answer as two texts, for cross-encoders, which take pairs."""

    capabilities: ClassVar = Capabilities(text=False, reward=True)

    def __init__(self, model: str, options: Options, key_for: KeyFor) -> None:
        super().__init__(model, options, key_for, route=f"/{options.route}")

    @property
    def fingerprint(self) -> str:
        told = json.dumps(self._options.extra_body, sort_keys=True, separators=(",", ":"))
        return f"reward:{self._model}@{self._options.urls[0]}{self._route} {told}"

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        return await self.send(request, {**self._said(request.messages), "use_activation": False}, 1, self.until())

    def _said(self, turns: Conversation) -> dict[str, Any]:
        if self._route == "/pooling":
            return {"messages": [{"role": m.role, "content": m.content} for m in turns]}
        question = next((m.content for m in reversed(turns) if m.role == "user"), "")
        return {"text_1": question, "text_2": turns[-1].content}

    def read(self, raw: bytes, request: Request, n: int, replica: Replica) -> tuple[Completion, ...]:
        """One completion whose text is the number, in full precision."""
        peer = replica.peer
        [row] = (reply := checked(_Reply, raw, peer, "a reward")).data
        numbers = [row.score] if row.score is not None else row.data or []
        if len(numbers) not in (1, 2):
            raise bad_response(f"{peer} gave {len(numbers)} numbers: no reward model does")
        reward = numbers[-1] - (numbers[0] if len(numbers) == 2 else 0.0)
        if not math.isfinite(reward):
            raise bad_response(f"{peer} gave rewards that no number can hold")
        [usage] = split_usage(reply.usage, request.messages, [""])
        return (Completion(repr(reward), usage=replace(usage, completion=0), server=peer.url),)
