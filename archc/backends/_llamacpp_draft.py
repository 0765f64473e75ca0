"""Completions as they grow, fed by llama.cpp's stream of chunks on a worker's thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.backends._labels import said
from archc.calls import CallError, Completion, FailureKind, Finish, Usage

NOTHING = Usage()

_KINDS = {
    "exceed_context_size_error": FailureKind.CONTEXT_LENGTH,
    "invalid_request_error": FailureKind.BAD_REQUEST,
    "not_supported_error": FailureKind.BAD_REQUEST,
    "unavailable_error": FailureKind.OVERLOAD,
}


@dataclass(slots=True)
class Growing:
    """One completion as it grows."""

    text: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    first: list[tuple[str, float]] = field(default_factory=list)
    """What the first token could have been."""
    finish: str = ""
    usage: Usage = NOTHING


@dataclass(slots=True, eq=False)
class Draft:
    """The completions of one prompt, written on a worker's thread."""

    sequences: list[Growing]
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: int = 0
    """The sequence that ended last: the next usage is its."""
    error: tuple[str, str] | None = None

    def decode(self, server: Any, body: dict[str, Any]) -> None:
        """Returns when all is drawn, an error came, or soon after `stopped` is set."""
        try:
            server.handle_chat_completions(body, self._take)
        except (RuntimeError, TypeError, ValueError) as error:  # what llama.cpp or its JSON writer refuses
            self.error = "invalid_request_error", str(error)
        except (ArithmeticError, LookupError, MemoryError, OSError) as error:  # Cython's other translations from C++
            self.error = "server_error", f"{type(error).__name__}: {error}"

    def _take(self, chunk: dict[str, Any]) -> bool:
        """Takes one piece of the stream; True ends it."""
        if "error" in chunk:
            self.error = chunk["error"].get("type", ""), chunk["error"].get("message", "unknown")
            return True
        for choice in chunk["choices"]:
            sequence = self.sequences[choice["index"]]
            sequence.text.append(choice["delta"].get("content") or "")
            tokens = (choice.get("logprobs") or {}).get("content") or ()
            if tokens and not sequence.logprobs:
                sequence.first = [(one["token"], one["logprob"]) for one in tokens[0].get("top_logprobs") or ()]
            sequence.logprobs += [token["logprob"] for token in tokens]
            if choice["finish_reason"]:
                sequence.finish, self.ended = choice["finish_reason"], choice["index"]
        if usage := chunk.get("usage"):
            self._count(usage)
        return self.stopped.is_set()

    def _count(self, usage: dict[str, Any]) -> None:
        prompt = usage["prompt_tokens"]
        # All but the first sequence continue from the first one's reading of the prompt.
        cached = prompt if self.ended else usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        self.sequences[self.ended].usage = Usage(prompt, usage["completion_tokens"], cached)

    def completions(self, labels: Sequence[str] = ()) -> list[Completion]:
        """What was drawn; with labels, the likeliest of them. Raises `CallError` if it isn't complete."""
        if self.error:
            raise CallError(_KINDS.get(self.error[0], FailureKind.BAD_RESPONSE), self.error[1])
        if not all(s.finish for s in self.sequences):
            if self.stopped.is_set():
                raise CallError(FailureKind.CONNECTION, "the model was closed during the call")
            raise CallError(FailureKind.BAD_RESPONSE, "llama.cpp's answer broke off")
        done = []
        for s in self.sequences:
            mean = sum(s.logprobs) / len(s.logprobs) if s.logprobs else None
            text, logprob = said("".join(s.text), mean, labels, s.first)
            done.append(Completion(text, Finish.LENGTH if s.finish == "length" else Finish.STOP, s.usage, logprob))
        return done
