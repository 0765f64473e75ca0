"""Spec: what was written. It knows no op and no backend; `lowering` gives it its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    json_schema,
    model_validator,
)

from archc.diagnostics import Diagnostic
from archc.source import Source, Span
from archc.spec.located import Located, Table

Rules = Literal["open", "archon"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed), json_schema.WithJsonSchema(_TEXTS)]
"""One text or several."""


class Budget(_Part):
    """What one question may cost, at most. Nothing is sent whose worst case does not fit."""

    calls: PositiveInt | None = None
    """Completions drawn from models."""
    tokens: PositiveInt | None = None
    """Prompt and completion tokens together."""
    prompt_tokens: PositiveInt | None = None
    """Tokens of all prompts."""
    completion_tokens: PositiveInt | None = None
    """Tokens that models write."""
    usd: PositiveFloat | None = None
    """Money, by the models' prices."""
    seconds: PositiveFloat | None = None
    """Wall time."""
    on_exhausted: Literal["stop", "degrade", "error"] = "stop"
    """`stop` answers with the best candidate so far; `degrade` draws fewer samples and leaves `optional` blocks out
    while there is still room for the rest; `error` gives no answer."""

    @property
    def limited(self) -> frozenset[str]:
        """What is limited, but for time."""
        return frozenset(unit for unit in _SPENT if getattr(self, unit) is not None)


_SPENT = ("calls", "tokens", "prompt_tokens", "completion_tokens", "usd")


class Aims(_Part):
    """What `archc search` looks for in a spec with choices, unless its options say otherwise."""

    task: str = ""
    """A built-in task, or a file with questions."""
    maximise: Texts = ()
    """Figures of a trial, or expressions of them, to be made large: `accuracy`, `accuracy - 0.001 * calls`."""
    minimise: Texts = ()
    """The same, to be made small. Several goals together make a Pareto front."""
    subject_to: Texts = ()
    """What must hold: `calls <= 40`, `p95_seconds <= 20`."""
    budget: Budget | None = None
    """For the whole search, its confirmation and its baselines."""
    trials: PositiveInt | None = None
    """How many architectures to try, at most."""
    sampler: str = ""
    """Which one proposes them; `archc search --samplers` lists them."""
    start: tuple[dict[str, str | int | float | bool | None], ...] = ()
    """Points to try first, each with a value for every choice."""


class Price(_Part):
    """What a model costs, in USD per million tokens."""

    prompt: NonNegativeFloat
    """Per million prompt tokens."""
    completion: NonNegativeFloat
    """Per million completion tokens."""


class Rate(_Part):
    """A limit on how fast requests start: `requests`, `tokens`, or both."""

    requests: PositiveInt | None = None
    """At most this many requests …"""
    tokens: PositiveInt | None = None
    """… and this many tokens, counting the most that each request may use …"""
    per: PositiveFloat = 60
    """… in this many seconds."""

    @model_validator(mode="after")
    def _limits_something(self) -> Rate:
        if self.requests is None and self.tokens is None:
            raise ValueError("it needs `requests`, `tokens`, or both")
        return self


class ModelShape(_Part):
    """What a model is made of, as its card says: with it a plan counts floating-point operations, too."""

    params: PositiveFloat
    """Parameters that a token passes through, such as `7.6e9`; of a mixture of experts the active ones."""
    layers: PositiveInt
    """Transformer blocks."""
    heads: PositiveInt
    """Attention heads of a layer."""
    kv_heads: PositiveInt
    """Key and value heads of a layer: fewer than `heads` where they share."""
    head_dim: PositiveInt = 128
    """Numbers in a key."""


class SharedOptions(_Part):
    """The keys of a `models` entry that all backends have."""

    backend: str = "llamacpp"
    """Which backend serves it; `archc ops --backends` lists them."""
    model: str = "embedded"
    """The model's name there, or the path of its file."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 64
    """Requests in flight at once, at most."""
    rate: Rate | None = None
    """A limit on how fast requests start."""
    retries: Annotated[int, Field(ge=0, le=10)] = 4
    """How often a call is tried again after a failure that may pass."""
    hedge: PositiveFloat | None = None
    """After so many seconds without an answer a request is sent again. The first answer counts; both may cost."""
    price: Price | None = None
    """What it costs; needed for a budget in USD."""
    shape: ModelShape | None = None
    """What it is made of, for the operations that a run takes."""
    small: bool = False
    """Whether it has about 8B parameters or fewer; then archc warns of what such models do badly."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One entry of `models`, as written."""

    name: str
    name_span: Span
    options: Table


@dataclass(frozen=True, slots=True)
class Step:
    """One op as written: its name, empty where it could not be read, and its arguments."""

    op: str
    op_span: Span
    args: Located
    """A Table; or the main argument alone; or a pipeline alone."""
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    """A name for what a pipeline gives."""

    name: str
    name_span: Span
    pipeline: Sequence


@dataclass(frozen=True, slots=True)
class Sequence:
    """Stages one after the other, after the names that they may use."""

    stages: tuple[Stage, ...]
    span: Span
    lets: tuple[Let, ...] = ()


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches side by side on the same input; their outputs follow each other in written order."""

    branches: tuple[Stage, ...]
    span: Span


Stage = Step | Sequence | Parallel


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole file."""

    source: Source
    name: str
    models: tuple[ModelEntry, ...]
    pipeline: Sequence
    budget: Budget
    budget_span: Span | None
    rules: Rules
    mistakes: tuple[Diagnostic, ...] = ()
    """What is wrong with the form; `lower` tells it together with what is wrong with the meaning."""
    models_are_known: bool = True
    """False where `models` could not be read, so that no step is blamed for a model that is not there."""
    params: Mapping[str, Located] = field(default_factory=dict)
    """What each `$name` stands for."""
