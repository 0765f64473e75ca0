"""simulated: a seeded world of models with skill, judge error rates and latency, for tests, teaching and planning.

Nothing here costs anything or knows anything. All figures are drawn, and drawn the same way each time.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from hashlib import sha256
from random import Random
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from archc.backends import _world_code
from archc.backends._world import Judge, Scene, embedding, filler, is_right, reward, wrong_answer
from archc.calls import (
    Backend,
    BackendOptions,
    CallError,
    Capabilities,
    Completion,
    Conversation,
    FailureKind,
    Finish,
    KeyFor,
    Request,
    Sampling,
    Usage,
)
from archc.vectors import packed

BYTES_PER_TOKEN = 4
"""UTF-8 bytes that make one token here; what is left over makes one more."""
TOKENS_PER_MESSAGE = 4
"""Tokens that each message costs beside its text."""

_Probability = Annotated[float, Field(ge=0, le=1)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_REMARKS = {"each", "reason", "think"}
"""Prompts that ask for a text that is no answer: about a candidate (of `critique` and `verify`), or thoughts."""
_UNWRITTEN = {"reward", "embedding"}
"""Prompts that ask for no text."""
_SPEED = {"latency", "latency_per_token", "failure_rate"}


class Simulated(Backend):
    """A model that answers right with probability `skill` and judges right with probability `judgement`.

    A completion depends on the world's seed, the model's name, the messages, the sampling, the schema, its own seed
    and what the request is for, and on nothing else: not on other completions, the order of requests, or the process.
    The draws are the same whatever `skill` and `judgement` are, so that a model with more skill is right wherever
    one with less is; `max_tokens` and `stop` only cut the text.

    A question that holds `def NAME(` is answered with a function; tests in Python are each right with probability
    `judgement`, and checking programs as a judge is. As a reward model it gives more than 0 to what looks right to it;
    as an embedding model it counts words.

    An answer drawn with other answers in view (fenced candidates: `fuse`, `refine`) is right with probability
    `max(skill, min(share, judgement))`, where `share` is the share of right ones among those shown.
    """

    class Options(BackendOptions):
        """What the model is like."""

        skill: _Probability = 0.6
        """Probability that an answer is right."""
        judgement: _Probability = 0.8
        """Probability that a judge takes one candidate for what it is."""
        wrong_answers: PositiveInt = 4
        """How many different wrong answers a question has; each is as likely as the others."""
        answers: dict[str, str] = Field(default={})
        """The right answer by question, up to its first blank line or whole; for any other question it is a number made
        from the question's text."""
        script: Annotated[list[str], Field(min_length=1)] | None = None
        """Replies to give instead: to the seed `s` the one at `s % len(script)`, from 0, whatever is asked."""
        latency: _Seconds = 0.0
        """Seconds that each request takes."""
        latency_per_token: _Seconds = 0.0
        """Seconds beside that for each token of the request's longest completion; all are written at once."""
        failure_rate: _Probability = 0.0
        """Probability that a request fails as overloaded. The same request fails each time: retries do not help."""
        seed: int = 0
        """The world's seed. It changes all draws, but not which answers are right."""
        verbosity: PositiveInt = 60
        """Words of an answer, about."""

    capabilities: ClassVar = Capabilities(
        reward=True,
        embeddings=True,
        continuation=True,
        n=True,
        logprobs=True,
        schema=True,
        seed=True,
    )

    def __init__(
        self,
        model: str,
        options: Options,
        key_for: KeyFor,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._model = model
        self._options = options
        self._sleep = sleep

    @property
    def fingerprint(self) -> str:
        told = json.dumps(self._options.model_dump(exclude=_SPEED), sort_keys=True)
        return f"simulated:{self._model} {_digest(told)[:16]}"

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        key = self._key(request)
        if Random(f"{key} failure {request.seeds}").random() < self._options.failure_rate:
            raise CallError(FailureKind.OVERLOAD, f"the simulated model `{self._model}` is overloaded")
        scene = Scene.of(request, self._options.answers)
        drawn = [self._draw(request, scene, key, seed) for seed in request.seeds]
        longest = max((completion.usage.completion for completion in drawn), default=0)
        wait = self._options.latency + self._options.latency_per_token * longest
        if wait > 0:
            await self._sleep(wait)
        prompt = Usage(prompt=prompt_tokens(request.messages))
        return tuple(
            Completion(c.text, c.finish, c.usage + prompt if i == 0 else c.usage, c.logprob)
            for i, c in enumerate(drawn)
        )

    def _key(self, request: Request) -> str:
        """Names the distribution that the completions are drawn from."""
        messages = [[m.role, m.content] for m in request.messages]
        sampling = [request.sampling.temperature, request.sampling.top_p]
        return _digest(json.dumps([self._options.seed, self._model, messages, sampling, request.schema]))

    def _draw(self, request: Request, scene: Scene, key: str, seed: int) -> Completion:
        if request.labels:
            rng = Random(f"{key} label")
            label = json.loads(Judge(json.dumps({"enum": request.labels}), scene, self._options.judgement, rng).write())
            return Completion(label, Finish.LENGTH, Usage(completion=1), math.log(rng.uniform(0.5, 1)))
        if request.purpose.prompt in _UNWRITTEN:
            return Completion(self._measure(request, scene, key))
        whole = self._text(request, scene, Random(f"{key} text {seed}"), seed)
        text, finish = cut(whole, request.sampling)
        usage = Usage(completion=text_tokens(text))
        if not request.logprobs:
            return Completion(text, finish, usage)
        scale = 0.3 if is_right(text, scene.truth) else 0.5
        return Completion(text, finish, usage, -scale * Random(f"{key} logprob {seed}").uniform(0.3, 1.7))

    def _measure(self, request: Request, scene: Scene, key: str) -> str:
        """What models give that write nothing."""
        text = request.messages[-1].content
        if request.purpose.prompt == "embedding":
            return packed(embedding(text))
        return repr(reward(text, scene.truth, self._options.judgement, Random(f"{key} reward")))

    def _text(self, request: Request, scene: Scene, rng: Random, seed: int) -> str:
        options = self._options
        if options.script is not None:
            return options.script[seed % len(options.script)]
        if request.schema is not None:
            try:
                return Judge(request.schema, scene, options.judgement, rng).write()
            except (ValueError, TypeError) as error:
                raise CallError(FailureKind.BAD_REQUEST, f"the schema can't be followed: {error}") from None
        if request.purpose.prompt == "code":
            return self._code(request, scene, rng)
        if request.purpose.prompt in _REMARKS:
            return filler(rng, options.verbosity)
        return self._answer(scene, rng, _world_code.function_asked_for(request.purpose.question))

    def _code(self, request: Request, scene: Scene, rng: Random) -> str:
        options = self._options
        if scene.rights:
            return _world_code.check(scene.truth, options.judgement, rng)
        name, prompt = _world_code.function_asked_for(request.purpose.question), request.messages[-1].content
        return _world_code.tests(name, scene.truth, prompt, options.judgement, options.wrong_answers, rng)

    def _answer(self, scene: Scene, rng: Random, function: str) -> str:
        options = self._options
        share = sum(scene.rights) / len(scene.rights) if scene.rights else 0.0
        right = rng.random() < max(options.skill, min(share, options.judgement))
        wrong = wrong_answer(scene.truth, rng.randrange(options.wrong_answers))
        if function:
            return _world_code.function(function, scene.truth if right else wrong, rng, options.verbosity)
        reasoning = filler(rng, max(1, options.verbosity - 5))
        return f"{reasoning}\nTherefore the answer is {scene.truth if right else wrong}."


def cut(text: str, sampling: Sampling) -> tuple[str, Finish]:
    """What is written before the first stop string or the last allowed token, whichever ends it."""
    raw, limit = _bytes(text), sampling.max_tokens * BYTES_PER_TOKEN
    written = raw[:limit].decode(errors="ignore")
    stops = [at for stop in sampling.stop if stop and (at := written.find(stop)) >= 0]
    if stops:
        return written[: min(stops)], Finish.STOP
    return written, Finish.LENGTH if len(raw) > limit else Finish.STOP


def text_tokens(text: str) -> int:
    """Tokens of a text: one for every four bytes begun."""
    return -(-len(_bytes(text)) // BYTES_PER_TOKEN)


def prompt_tokens(messages: Conversation) -> int:
    """Tokens of a prompt."""
    return sum(text_tokens(m.content) + TOKENS_PER_MESSAGE for m in messages)


def _bytes(text: str) -> bytes:
    """UTF-8, with a question mark for half a surrogate pair, which JSON can bring in."""
    return text.encode(errors="replace")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
