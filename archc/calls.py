"""Calls: what is asked of a model or of the sandbox, and what comes back.

The seams to the world are `Backend.complete` and `Execute`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


Conversation = tuple[Message, ...]

MESSAGE_TOKENS = 16
"""The most tokens that a chat template adds to a message."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn. `max_tokens` is always sent: it bounds the cost."""

    temperature: float = 0.7
    max_tokens: int = 1024
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for. Shown in traces and read by the simulated backend; never sent to a model."""

    op: str
    prompt: str
    question: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request for `len(seeds)` completions of the same messages."""

    messages: Conversation
    sampling: Sampling
    seeds: tuple[int, ...]
    """One per completion, each in [0, 2**31). A server that takes one seed per request gets the first."""
    purpose: Purpose
    schema: str | None = None
    """A JSON Schema (as JSON text) that each completion must follow, where the backend can enforce it."""
    logprobs: bool = False
    labels: tuple[str, ...] = ()
    """Words of which the completion is one, by its first token: its `logprob` is then the label's."""

    @property
    def continues(self) -> bool:
        """Whether it goes on with a reply that is begun."""
        return bool(self.messages) and self.messages[-1].role == "assistant"

    @property
    def n(self) -> int:
        """How many completions are asked for."""
        return len(self.seeds)

    def of(self, seeds: tuple[int, ...]) -> Request:
        """The same for other completions."""
        return Request(self.messages, self.sampling, seeds, self.purpose, self.schema, self.logprobs, self.labels)


class Finish(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """By itself or at one of the texts to stop at; the latter, where the server tells them apart."""
    EOS = "eos"
    """By itself, where the server tells."""
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request or one completion.

    `cached` is the part of `prompt` served from a prefix cache, `reasoning` the part of `completion` that was thinking.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )

    @property
    def total(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Spend:
    """An amount of everything that is limited. Also a count of what was spent."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    usd: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            self.calls + other.calls,
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.usd + other.usd,
        )

    def __sub__(self, other: Spend) -> Spend:
        return self + Spend(-other.calls, -other.prompt, -other.completion, -other.usd)

    def __mul__(self, factor: int) -> Spend:
        if factor == 1:
            return self
        return Spend(self.calls * factor, self.prompt * factor, self.completion * factor, self.usd * factor)

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion


NOTHING = Spend()


@dataclass(frozen=True, slots=True)
class Completion:
    """One drawn text. `logprob` is the mean log-probability per token in nats, where asked for and known.

    Of a request with labels it is that of the text among all labels, and None where none of them is likely.
    """

    text: str
    finish: Finish = Finish.STOP
    usage: Usage = Usage()
    logprob: float | None = None
    server: str = field(default="", compare=False)
    """Which server answered, for the trace: without secrets, empty where there is none. Not kept in the journal."""


class FailureKind(StrEnum):
    """Why a call or a judgement gave nothing usable."""

    RATE_LIMIT = "rate-limit"
    OVERLOAD = "overload"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTH = "auth"
    NOT_FOUND = "not-found"
    BAD_REQUEST = "bad-request"
    CONTEXT_LENGTH = "context-length"
    CONTENT_FILTER = "content-filter"
    BAD_RESPONSE = "bad-response"
    UNPARSABLE = "unparsable"
    BUDGET = "budget"
    STOPPED = "stopped"


RETRYABLE = frozenset(
    {
        FailureKind.RATE_LIMIT,
        FailureKind.OVERLOAD,
        FailureKind.TIMEOUT,
        FailureKind.CONNECTION,
        FailureKind.BAD_RESPONSE,
    }
)
"""Kinds for which the same request may succeed later."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A slot where a candidate or a judgement should be, with the reason."""

    kind: FailureKind
    reason: str


class CallError(Exception):
    """Raised by backends, for every failure they know: nothing else may leave `complete`.

    `billed` says whether the provider may have charged for the attempt (a time-out: yes; a 429: no).
    `retry_after` is in seconds. `server` is which one failed, without secrets. The runtime sets `excused` where it
    counts for nothing, since the server serves others.
    """

    def __init__(
        self, kind: FailureKind, reason: str, *, billed: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{kind}: {reason}")
        self.failed = Failed(kind, reason)
        self.billed = billed
        self.retry_after = retry_after
        self.server = ""
        self.excused = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; the compiler checks it against what the ops need."""

    text: bool = True
    """Texts that it writes."""
    reward: bool = False
    """A number for a conversation, as reward models give it."""
    embeddings: bool = False
    """A vector for a text."""
    continuation: bool = False
    """Going on with a reply that is begun: the last message, where it is the assistant's."""
    n: bool = False
    """Several completions in one request."""
    logprobs: bool = False
    schema: bool = False
    """Constrained decoding to a JSON Schema."""
    seed: bool = False
    context: int | None = None
    """Tokens that a prompt and its completion may have together, where that is known."""


Capability = Literal["text", "logprobs", "reward", "embeddings", "continuation"]
"""What an op may require of its models, by its name in `Capabilities`."""


class BackendOptions(BaseModel):
    """The keys a backend takes in a `models` entry, beside those that all backends share."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def endpoints(self) -> tuple[tuple[str, str | None], ...]:
        """Each URL that requests go to, with the environment variable whose key the spec wants sent there."""
        return ()


KeyFor = Callable[[str, str | None], str | None]
"""Gives the API key that may go to a place (`Address.place`), if any; the second argument is what a spec names."""


class Backend(abc.ABC):
    """One model behind one method. A backend is one file in `archc/backends/`.

    It neither retries, nor limits, nor caches: the runtime does that around it, the same for all.
    Construction is cheap and touches nothing; `start` connects or loads, once, before the first call.
    """

    Options: ClassVar[type[BackendOptions]]
    capabilities: ClassVar[Capabilities]

    @abc.abstractmethod
    def __init__(self, model: str, options: Any, key_for: KeyFor) -> None:
        """`model` as written in the spec, `options` an instance of this class's `Options`."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Names everything about the model that changes its answers; part of a call's identity. No secrets."""

    @classmethod
    def known(cls, model: str, options: Any) -> Capabilities:
        """What a model with these options can do, as far as that is known without asking."""
        return cls.capabilities

    @property
    def able(self) -> Capabilities:
        """What this one can do, as far as its options say and its server has shown."""
        return self.capabilities

    async def start(self) -> None:  # noqa: B027
        """Connects or loads. Raises `RunError` with what to do."""

    @abc.abstractmethod
    async def complete(self, request: Request) -> tuple[Completion, ...]:
        """The first of the `request.n` completions in order, one at least, their usages adding up to what was billed.

        Where a server gives fewer than it was asked for, the runtime asks for the rest.

        Raises `CallError` for every failure. Cancellation aborts the request and leaves nothing open.
        """

    async def close(self) -> None:  # noqa: B027
        """Releases connections, threads and memory. May be called twice."""


class Ask(Protocol):
    """Draws `n` completions, with sample indices `first` … `first + n - 1`. Failures are values, never exceptions."""

    async def __call__(
        self,
        model: str,
        messages: Conversation,
        sampling: Sampling,
        *,
        prompt: str,
        n: int = 1,
        first: int = 0,
        schema: str | None = None,
        logprobs: bool = False,
        labels: tuple[str, ...] = (),
    ) -> tuple[Completion | Failed, ...]:
        """`prompt` names the template the messages came from, for the trace."""


ExecutionStatus = Literal["passed", "failed", "error", "timeout", "killed"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one execution of untrusted code may use. What is over it is ended."""

    seconds: float = 5.0
    """Wall-clock time, from when the program is there."""
    memory: int = 1 << 30
    """Address space of each process, in bytes."""
    output: int = 1 << 16
    """What it prints, in bytes."""


USUAL_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program or a test."""

    status: ExecutionStatus
    """`failed`: an assertion did not hold; `error`: something else was raised; `killed`: it ended in its own way."""
    message: str = ""
    """Why it did not pass, in one line."""
    seconds: float = 0.0
    """Wall-clock time."""
    stdout: str = ""
    """What a program printed."""

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return self.status == "passed"


class Execute(Protocol):
    """Runs tests on a program, where neither can do harm. Failures are values, never exceptions."""

    async def __call__(
        self, program: str, tests: Sequence[str], limits: Limits = USUAL_LIMITS
    ) -> tuple[Outcome | Failed, ...]:
        """One outcome for each test, in their order. The same test of the same program is run once only."""
