"""embedding: an embedding model behind a server of OpenAI's protocol, which makes a vector of a text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from archc.backends._openai_reply import bad_response, checked, split_usage
from archc.backends._replicas import Replica
from archc.backends._server import ServerBackend, ServerOptions
from archc.calls import Capabilities, Completion, KeyFor, Request
from archc.vectors import packed


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    embedding: list[FiniteFloat] = Field(min_length=1)


class _Reply(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    data: list[_Row] = Field(min_length=1, max_length=1)
    usage: Any = None


class Embedding(ServerBackend):
    """An embedding model behind one or more servers that speak OpenAI's protocol (vLLM, llama.cpp, TEI, providers).

    A text is a call of its own; what comes back is the vector, packed as text.
    """

    class Options(ServerOptions):
        """Where the server is and what it takes."""

    capabilities: ClassVar = Capabilities(text=False, embeddings=True)

    def __init__(self, model: str, options: Options, key_for: KeyFor) -> None:
        super().__init__(model, options, key_for, route="/v1/embeddings")

    @property
    def fingerprint(self) -> str:
        told = json.dumps(self._options.extra_body, sort_keys=True, separators=(",", ":"))
        return f"embedding:{self._model}@{self._options.urls[0]} {told}"

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        said = {"input": request.messages[-1].content, "encoding_format": "float"}
        return await self.send(request, said, 1, self.until())

    def read(self, raw: bytes, request: Request, n: int, replica: Replica) -> tuple[Completion, ...]:
        """One completion whose text is the vector."""
        reply = checked(_Reply, raw, replica.peer, "an embedding")
        try:
            text = packed(reply.data[0].embedding)
        except OverflowError:
            raise bad_response(f"{replica.peer} gave numbers that are too large for a vector") from None
        [usage] = split_usage(reply.usage, request.messages, [""])
        return (Completion(text, usage=replace(usage, completion=0), server=replica.peer.url),)
