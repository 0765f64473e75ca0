"""openai: any server that speaks OpenAI's chat-completions protocol (vLLM, SGLang, llama.cpp, TGI, providers)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, ClassVar, Literal

from archc.backends._features import CHAT
from archc.backends._labels import LIKELIEST
from archc.backends._openai_reply import Rejected, read_completions
from archc.backends._replicas import Replica
from archc.backends._server import ServerBackend, ServerOptions
from archc.calls import CallError, Capabilities, Completion, FailureKind, KeyFor, Request

_SCHEMA_FIELD = r"response_format|structured_outputs|guided_json|schema|grammar"
_SEED_FIELD = r"\bseed\b"
_N_FIELD = r"(?<![\w\\])n(?!\w)|completion choice"


class OpenAI(ServerBackend):
    """A model behind one or more servers that speak OpenAI's chat-completions protocol.

    What a server turns out not to take (`n`, a seed, a schema) is asked for once, then done without.
    """

    class Options(ServerOptions):
        """Where the server is and what it takes."""

        n: bool = True
        """Whether the server can give several completions in one request; else archc sends several requests."""
        schema_field: Literal["response_format", "structured_outputs", "guided_json", "none"] = "response_format"
        """How the server is told a JSON Schema: `structured_outputs` is vLLM's own, `guided_json` that of old vLLM."""
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
        """What the server calls the limit of tokens to write; OpenAI's reasoning models take only the second."""

    _options: Options
    capabilities: ClassVar = Capabilities(continuation=True, n=True, logprobs=True, schema=True, seed=True)

    def __init__(
        self, model: str, options: Options, key_for: KeyFor, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(model, options, key_for, route=CHAT, clock=clock)
        self._takes_n = options.n
        self._takes_schema = options.schema_field != "none"
        self._refused: set[str] = set()
        """`seed` and the schemas that the server does not take."""

    @property
    def fingerprint(self) -> str:
        options = self._options
        told = {"extra_body": options.extra_body, "schema_field": options.schema_field}
        return f"openai:{self._model}@{options.urls[0]} {json.dumps(told, sort_keys=True, separators=(',', ':'))}"

    @property
    def able(self) -> Capabilities:
        return _able(self._takes_n, self._takes_schema)

    async def start(self) -> None:
        await super().start()
        found = [replica.known.features for replica in self._replicas]
        self._takes_n = self._takes_n and all(features.get("n", True) for features in found)
        self._takes_schema = self._takes_schema and all(features.get("schema", True) for features in found)

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        until = self.until()
        if not self._takes_n or self._is_single(request):
            return await self._ask(request, request.seeds[:1], until)
        try:
            done = await self._ask(request, request.seeds, until)
        except Rejected as error:
            if request.n == 1 or not error.names(_N_FIELD):
                raise
            done = await self._ask(request, request.seeds[:1], until)
        if len(done) < request.n:
            # One of many: the server ignores `n`. Some of many: it has a lower limit, or lost one.
            self._takes_n = len(done) > 1
        return done

    def _is_single(self, request: Request) -> bool:
        return request.sampling.temperature == 0 and any(r.known.dialect.one_greedy for r in self._replicas)

    async def _ask(self, request: Request, seeds: tuple[int, ...], until: float) -> tuple[Completion, ...]:
        """One request, repeated without the fields that the server rejects by name; at most one completion per seed."""
        without = set(self._refused)
        while True:
            try:
                done = await self.send(request, self._said(request, seeds, without), len(seeds), until)
            except Rejected as error:
                if request.schema and request.schema not in without and error.names(_SCHEMA_FIELD):
                    without.add(request.schema)
                elif "seed" not in without and error.names(_SEED_FIELD):
                    without.add("seed")
                else:
                    raise
            else:
                # Remembered only now: had the request failed without them too, they were not what was wrong.
                self._refused |= without
                return done

    def _said(self, request: Request, seeds: tuple[int, ...], without: set[str]) -> dict[str, Any]:
        """What a request says; `without` names what the server does not take."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            # Sent even where it is the usual 1.0: vLLM's default is whatever the model's makers wrote down.
            "top_p": sampling.top_p,
            "temperature": sampling.temperature,
            self._options.max_tokens_field: sampling.max_tokens,
        }
        if request.continues:
            self._check_continuation()
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if len(seeds) > 1:
            body["n"] = len(seeds)
        if "seed" not in without:
            body["seed"] = seeds[0]
        if sampling.stop:
            body["stop"] = sampling.stop
        if request.logprobs or request.labels:
            body["logprobs"] = True
        if request.labels:
            body["top_logprobs"] = LIKELIEST
        if request.schema is not None and self._takes_schema and request.schema not in without:
            body |= self._constraint(request.schema)
        return body

    def _check_continuation(self) -> None:
        """Raises CallError where a server is not known to go on with a text: it would begin another, and not say so."""
        for replica in self._replicas:
            if not replica.known.features.get("continuation"):
                reason = f"{replica.peer} is not known to go on with a reply that is begun"
                raise CallError(FailureKind.BAD_REQUEST, reason)

    def _constraint(self, schema: str) -> dict[str, Any]:
        match self._options.schema_field:
            case "response_format":
                told = {"name": "answer", "schema": _parsed(schema), "strict": True}
                return {"response_format": {"type": "json_schema", "json_schema": told}}
            case "structured_outputs":
                return {"structured_outputs": {"json": _parsed(schema)}}
            case "guided_json":
                return {"guided_json": _parsed(schema)}
            case "none":  # then nothing is told
                return {}

    def read(self, raw: bytes, request: Request, n: int, replica: Replica) -> tuple[Completion, ...]:
        dialect, most = replica.known.dialect, request.sampling.max_tokens
        done = read_completions(raw, request.messages, n, replica.peer, dialect, most, request.labels)
        if request.continues and dialect.repeats_begun:
            begun = request.messages[-1].content
            return tuple(replace(one, text=one.text.removeprefix(begun)) for one in done)
        return done


@cache
def _able(n: bool, schema: bool) -> Capabilities:
    return replace(OpenAI.capabilities, n=n, schema=schema)


@lru_cache
def _parsed(schema: str) -> Any:
    """Judges ask with the same one again and again."""
    return json.loads(schema)
