"""Dialects: in what the servers differ that speak OpenAI's protocol. All that archc knows of each is in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server."""

    name: str
    told_by: tuple[str, ...] = ()
    """Routes that only it has, of which one will do; none where there is nothing to tell it by."""
    version: str = ""
    """Where in that route's answer the version stands."""
    context: str = ""
    """Where in that route's answer the tokens stand that a sequence may have; else the list of models says it."""
    health: str = "/v1/models"
    """The route that says whether it serves."""
    can: frozenset[str] = frozenset()
    """What it can do that no route publishes."""
    cannot: frozenset[str] = frozenset()
    """What it takes and does not do."""
    stop_key: str = ""
    """Which key of a choice says what stopped it: null, or a token's number, where the model ended by itself."""
    counts_first_only: bool = False
    """Whether its usage counts the tokens of the first of several choices only."""
    repeats_begun: bool = False
    """Whether its reply to a message that is begun holds what was begun."""
    one_greedy: bool = False
    """Whether it gives one completion only where the likeliest text is asked for (temperature 0)."""
    running: str = ""
    """The metric of requests that are being served."""
    cache_hits: str = ""
    """The metric of prompt tokens that came from the prefix cache, since it started."""


_BY_ANY = frozenset({"n", "logprobs", "schema", "seed"})

DIALECTS = (
    Dialect(
        "vllm",
        told_by=("/version",),
        version="version",
        health="/health",
        stop_key="stop_reason",
        one_greedy=True,
        running="vllm:num_requests_running",
        cache_hits="vllm:prefix_cache_hits_total",
    ),
    Dialect(
        "sglang",
        told_by=("/get_server_info", "/server_info"),
        version="version",
        health="/health",
        # Without --enable-deterministic-inference a seed is taken and does nothing.
        cannot=frozenset({"seed"}),
        stop_key="matched_stop",
        running="sglang:num_running_reqs",
        cache_hits="sglang:cached_tokens_total",
    ),
    Dialect(
        "llama.cpp",
        told_by=("/props",),
        version="build_info",
        context="default_generation_settings.n_ctx",
        health="/health",
        can=_BY_ANY | {"continuation", "tokenize", "detokenize", "cached_tokens"},
        cannot=frozenset({"prompt_logprobs", "stop_token_ids"}),
        counts_first_only=True,
        repeats_begun=True,
        running="llamacpp:requests_processing",
        cache_hits="llamacpp:prompt_tokens_cached_total",
    ),
)
"""Those that can be told apart, in the order in which they are looked for."""

PLAIN = Dialect("openai")
"""All others."""

CONTEXT_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call the tokens that a sequence may have, in their lists of models."""


def dialect(name: str) -> Dialect:
    """The dialect of that name; the plain one for a name that this version does not know."""
    return next((one for one in DIALECTS if one.name == name), PLAIN)
