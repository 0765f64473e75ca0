"""Providers: where the models of Archon, optillm and the MoA script are, and short names for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.source import Span
from archc.spec.foreign.made import made
from archc.spec.located import Located

PAIRWISE = "pairwise-reward-model"
"""The backend that PairRM would need; there is none of that name."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenAI-compatible server: the variable that moves it elsewhere, its usual address, and its key.

    A host whose key is well known (`archc.keys`) needs none named here.
    """

    variable: str
    url: str
    key: str | None = None

    @property
    def base_url(self) -> str:
        """As a spec writes it."""
        return f"${{{self.variable}:-{self.url}}}" if self.url else f"${{{self.variable}}}"


PROVIDERS: Mapping[str, Provider] = {
    "Together_API": Provider("TOGETHER_BASE_URL", "https://api.together.xyz/v1"),
    "OpenAI_API": Provider("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "Anthropic_API": Provider("ANTHROPIC_BASE_URL", "https://api.anthropic.com/v1"),
    "Google_API": Provider("GOOGLE_BASE_URL", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "Groq_API": Provider("GROQ_BASE_URL", "https://api.groq.com/openai/v1"),
    "Bedrock_API": Provider(
        "BEDROCK_BASE_URL",
        "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1",
        "AWS_BEARER_TOKEN_BEDROCK",
    ),
    "vLLM": Provider("VLLM_BASE_URL", "http://localhost:8000/v1"),
    "tgi": Provider("TGI_BASE_URL", "http://localhost:8080/v1"),
}
"""By Archon's `model_type`."""


def provider(kind: str) -> Provider:
    """That of a `model_type`; one without an address for a type that is not known."""
    name = re.sub(r"\W+", "_", kind, flags=re.ASCII).upper().strip("_") or "ARCHON"
    return PROVIDERS.get(kind) or Provider(f"{name}_BASE_URL", "")


def provider_of(options: Mapping[str, Any]) -> str | None:
    """The `model_type` of a model's options, if one of those known has its address."""
    return next((kind for kind in PROVIDERS if is_at(options, kind)), None)


def is_at(options: Mapping[str, Any], kind: str) -> bool:
    """Whether a model's options lead to the provider `kind`; PairRM is nowhere, so anywhere will do."""
    known = provider(kind)
    return options.get("backend") == PAIRWISE or (
        options.get("backend") == "openai" and options.get("base_url") in (known.base_url, known.url or None)
    )


@dataclass
class Models:
    """The `models` of a spec that is being made: each model of each provider once, under a short name."""

    names: dict[tuple[str, str], str] = field(default_factory=dict)
    options: dict[str, Located] = field(default_factory=dict)

    def name(self, model: str, kind: str, span: Span) -> str:
        """The name of `model` at the provider `kind`, declared if it is new."""
        if (model, kind) not in self.names:
            name = self.names[model, kind] = self._free(model)
            self.options[name] = made(_options(model, kind), span)
        return self.names[model, kind]

    def _free(self, model: str) -> str:
        short, long = short_name(model), _slug(model.rsplit("/", 1)[-1])
        tries = (short, long, *(f"{long}_{i}" for i in range(2, len(self.options) + 3)))
        return next(name for name in tries if name not in self.options)


def _options(model: str, kind: str) -> dict[str, Any]:
    if is_pairwise(model):
        return {"backend": PAIRWISE, "model": model}
    where = provider(kind)
    options = {"backend": "openai", "model": model, "base_url": where.base_url}
    if where.key:
        options["api_key_env"] = where.key
    if _REASONING.match(model):
        options["max_tokens_field"] = "max_completion_tokens"
    return options


def is_pairwise(model: str) -> bool:
    """Whether it compares pairs and writes nothing."""
    return model.lower().rsplit("/", 1)[-1] == "pairrm"


_REASONING = re.compile(r"o[1-9]\b")
"""OpenAI's reasoning models, which know no `max_tokens`."""

_DATE = re.compile(r"_20\d\d(?:_?\d\d){2}$|_\d{4}$")
_FILLER = re.compile(r"_(?:chat|instruct|turbo|hf|it|preview|versatile|v\d+(?:_\d+)*)$")


def short_name(model: str) -> str:
    """`meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo` as `llama_3_1_70b`."""
    name = re.sub(r"^meta_(?=llama)", "", _slug(model.rsplit("/", 1)[-1]))
    shorter = _FILLER.sub("", _DATE.sub("", name))
    while shorter != name:
        name, shorter = shorter, _FILLER.sub("", shorter)
    return name


def _slug(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return words if re.match("[a-z]", words) else f"model_{words}".rstrip("_")


def spec_models(models: Models, span: Span) -> Located:
    """The table of all that were named."""
    return made(models.options, span)
