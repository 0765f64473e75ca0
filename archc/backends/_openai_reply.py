"""Reads what a chat-completions server sent: completions from a good reply, a `CallError` from any other.

Everything here is pure, and nothing in a reply is trusted: whatever the bytes, only `CallError` is raised.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import accumulate
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from archc.backends._dialects import PLAIN, Dialect
from archc.backends._labels import said
from archc.calls import MESSAGE_TOKENS, CallError, Completion, Conversation, FailureKind, Finish, Usage
from archc.secret import Secret

T = TypeVar("T", bound=BaseModel)

LONGEST_WAIT = 300.0
"""Seconds; a server that asks for more gets asked again after this."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who answers: for messages, and for the key that must not show in them."""

    model: str
    url: str
    key: Secret

    def clean(self, text: str, limit: int | None = 300) -> str:
        """What it said, fit to show."""
        return clean(text, self.key, limit)

    def __str__(self) -> str:
        return f"`{self.model}` at {self.url}"


class Rejected(CallError):
    """The server would not take the request. `about` is all it said, for finding the field it named."""

    def __init__(self, reason: str, about: str) -> None:
        super().__init__(FailureKind.BAD_REQUEST, reason)
        self.about = about

    def names(self, pattern: str) -> bool:
        """Whether the server named what `pattern` finds."""
        return re.search(pattern, self.about, re.IGNORECASE) is not None


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Message(_Part):
    content: str | None = None
    refusal: Any = None
    tool_calls: Any = None


class _Choice(_Part):
    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    message: _Message
    index: int | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class _Reply(_Part):
    choices: list[_Choice]
    usage: Any = None


_FINISHES = {"length": Finish.LENGTH, "max_tokens": Finish.LENGTH, "content_filter": Finish.CONTENT_FILTER}
_UNFINISHED = {"abort", "error", "tool_calls", "function_call"}
"""The server gave up on the text or wrote something else; what there is of it is not an answer."""


def read_completions(
    raw: bytes,
    messages: Conversation,
    n: int,
    peer: Peer,
    dialect: Dialect = PLAIN,
    max_tokens: int = 1 << 40,
    labels: Sequence[str] = (),
) -> tuple[Completion, ...]:
    """The completions in the reply to a request for `n`: at least one and at most `n`, in order of `index`.

    A choice whose text was withheld is empty and says so. With `labels` each is the one that is likeliest.
    The key is taken out of the texts, too: they go into other servers' prompts, the journal and reports.
    """
    reply = checked(_Reply, raw, peer, "a chat completion")
    choices = _ordered(reply.choices)[:n]
    drawn = [_drawn(choice, peer.key, dialect.stop_key) for choice in choices]
    texts = [text for text, _ in drawn]
    usages = split_usage(reply.usage, messages, texts[:1] if dialect.counts_first_only else texts)
    usages += [_like(usages[0], texts[0], text, max_tokens) for text in texts[len(usages) :]]
    done = []
    for (text, finish), usage, choice in zip(drawn, usages, choices, strict=True):
        first = _first_tokens(choice.logprobs) if labels else []
        if labels and not first:
            reason = f"{peer} does not tell which tokens are likeliest (`top_logprobs`)"
            raise CallError(FailureKind.BAD_REQUEST, reason, billed=True)
        word, logprob = said(text, _mean_logprob(choice.logprobs), labels, first)
        done.append(Completion(word, finish, usage, logprob, peer.url))
    return tuple(done)


def checked(kind: type[T], raw: bytes, peer: Peer, what: str) -> T:
    """A good reply's body. Raises CallError where it is not `what` it should be, or says that something failed."""
    try:
        reply = kind.model_validate_json(raw)
        _DOUBLES.decode(raw.decode())
    except ValidationError as error:
        raise _bad_body(raw, error, peer, what) from None
    except ValueError as error:
        raise bad_response(f"{peer} sent {peer.clean(str(error))}") from None
    return reply


def split_usage(usage: object, messages: Conversation, texts: Sequence[str]) -> list[Usage]:
    """One usage per text, adding up to the request's. What the server does not tell is taken at its most."""
    told = usage if isinstance(usage, dict) else {}
    sizes = [len(text.encode()) for text in texts]
    prompt = _count(told.get("prompt_tokens"))
    if prompt is None:
        prompt = sum(len(m.content.encode(errors="replace")) + MESSAGE_TOKENS for m in messages)
    cached = min(_detail(told, "prompt_tokens_details", "cached_tokens"), prompt)
    thought = _detail(told, "completion_tokens_details", "reasoning_tokens")
    total = _count(told.get("completion_tokens"))
    if total is None:
        parts = [size + 1 for size in sizes]
        parts[0] += thought
    else:
        # Some servers count the thinking only in the sum.
        total = max(total, (_count(told.get("total_tokens")) or 0) - prompt)
        parts = _shares(total, [size + 1 for size in sizes])
    reasons = _shares(min(thought, sum(parts)), parts)
    if len(parts) == 1:
        return [Usage(prompt, parts[0], cached, reasons[0])]
    first, *rest = zip(parts, reasons, strict=True)
    return [Usage(prompt, first[0], cached, first[1]), *(Usage(0, part, 0, reason) for part, reason in rest)]


def read_failure(status: int, headers: Mapping[str, str], raw: bytes, peer: Peer) -> CallError:
    """The error that a reply with a status other than 2xx means."""
    about = _message(_json(raw)) or raw.decode(errors="replace")
    if 300 <= status < 400:
        about = f"a redirect to {headers.get('location')}, which is not followed; correct the base_url"
    return _failure(status, headers, about, peer)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After`, at most `LONGEST_WAIT`; None if they make no sense."""
    ms = headers.get("retry-after-ms", "").strip()
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", ms):
        return min(float(ms) / 1000, LONGEST_WAIT)
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        return min(float(text), LONGEST_WAIT)
    try:
        # The server's own Date, not this machine's clock: the two may differ by hours.
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(wait.total_seconds(), LONGEST_WAIT) if wait.total_seconds() >= 0 else None


def clean(text: str, key: Secret, limit: int | None = 300) -> str:
    """Foreign text, fit to show: one line, printable, without the key, at most `limit` characters."""
    text = key.redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    # Cut last: half a key is a secret too.
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def _without_doubles(pairs: list[tuple[str, object]]) -> None:
    """Raises ValueError for a key that comes twice: which of its values is meant, nobody can know."""
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the key `{name[:40]}` twice")
        seen.add(name)


_DOUBLES = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_int=str, parse_float=str)
"""Makes nothing of a text: what numbers mean, nobody asks it."""


def _ordered(choices: list[_Choice]) -> list[_Choice]:
    if not choices:
        raise bad_response("the reply has no choices")
    indexes = [choice.index for choice in choices if choice.index is not None]
    if not indexes:
        return choices
    if len(set(indexes)) < len(choices):
        raise bad_response("the reply's choices have the same index, or none")
    return sorted(choices, key=lambda choice: choice.index or 0)


def _like(first: Usage, its_text: str, text: str, most: int) -> Usage:
    """What a text used that the server did not count: tokens as long as those of the first, rounded up."""
    size = max(1, len(its_text.encode()))
    return Usage(completion=min(-(-len(text.encode()) * max(1, first.completion) // size), most))


def _drawn(choice: _Choice, key: Secret, stop_key: str) -> tuple[str, Finish]:
    message = choice.message
    if message.tool_calls or choice.finish_reason in _UNFINISHED:
        raise bad_response("the model called a tool or broke off")
    finish = _FINISHES.get(choice.finish_reason or "", Finish.STOP)
    if finish is Finish.STOP and stop_key and not isinstance((choice.model_extra or {}).get(stop_key), str):
        finish = Finish.EOS
    if message.content is not None:
        return key.redact_answer(message.content), finish
    if message.refusal:
        return "", Finish.CONTENT_FILTER
    # A null text with `length` is a reasoning model that spent all its tokens on thinking: asking again costs the
    # same and gives the same, so it is not an error to retry.
    if finish in (Finish.STOP, Finish.EOS):
        raise bad_response("the reply has no text")
    return "", finish


def _mean_logprob(logprobs: object) -> float | None:
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list):
        return None
    values: list[Any] = [entry.get("logprob") for entry in entries if isinstance(entry, dict)]
    # vLLM writes minus infinity as -9999; NaN fails every comparison.
    known = [v for v in values if type(v) in (int, float) and -9999.0 < v <= 1.0]
    return math.fsum(known) / len(known) if known else None


def _first_tokens(logprobs: object) -> list[tuple[str, float]]:
    """What the first token could have been, as far as the server tells."""
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    told = first.get("top_logprobs") if isinstance(first, dict) else None
    found: list[tuple[str, float]] = []
    for one in told if isinstance(told, list) else []:
        token, value = (one.get("token"), _mean_logprob({"content": [one]})) if isinstance(one, dict) else (None, None)
        if isinstance(token, str) and value is not None:
            found.append((token, value))
    return found


def _count(value: object) -> int | None:
    """A number of tokens, if it is one that a server can mean."""
    return value if type(value) is int and 0 <= value < 2**40 else None


def _detail(told: Mapping[str, Any], part: str, name: str) -> int:
    """A number of tokens of those that another number counts; 0 where it is not told."""
    details = told.get(part)
    return (_count(details.get(name)) or 0) if isinstance(details, dict) else 0


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers near `total * weight / sum(weights)` that add up to `total`."""
    if len(weights) == 1:
        return [total]
    whole = sum(weights) or 1  # all are 0 only where the total is
    ends = [total * until // whole for until in accumulate(weights)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


_KINDS = {
    401: (FailureKind.AUTH, False),
    402: (FailureKind.AUTH, False),
    403: (FailureKind.AUTH, False),
    404: (FailureKind.NOT_FOUND, False),
    408: (FailureKind.TIMEOUT, True),
    429: (FailureKind.RATE_LIMIT, False),
    502: (FailureKind.OVERLOAD, False),
    503: (FailureKind.OVERLOAD, False),
    529: (FailureKind.OVERLOAD, False),
}
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum model length|maximum (allowed length|number of tokens)"
    r"|max_new_tokens. must be",
    re.IGNORECASE,
)


def is_too_long(about: str) -> bool:
    """Whether a server says that a prompt is longer than the model takes."""
    return _TOO_LONG.search(about) is not None


def _kind(status: int, about: str) -> tuple[FailureKind, bool]:
    """The kind and whether it may be billed."""
    # OpenAI's way to say that the account is empty: waiting will not help.
    if status == 429 and "insufficient_quota" in about:
        return FailureKind.AUTH, False
    if status == 429 and "request too large" in about.lower():  # more than all tokens of a minute
        return FailureKind.CONTEXT_LENGTH, False
    if status in _KINDS:
        return _KINDS[status]
    if status >= 500:
        return FailureKind.OVERLOAD, True
    if 300 <= status < 400:
        return FailureKind.NOT_FOUND, False  # the next try would be sent elsewhere, too
    if status < 400:
        return FailureKind.BAD_RESPONSE, True  # a 101: what was asked for may have been done as well
    if "content_filter" in about:
        return FailureKind.CONTENT_FILTER, False
    return (FailureKind.CONTEXT_LENGTH if is_too_long(about) else FailureKind.BAD_REQUEST), False


def _failure(status: int, headers: Mapping[str, str], about: str, peer: Peer) -> CallError:
    about = peer.clean(about, limit=None)
    kind, billed = _kind(status, about)
    request_id = peer.clean(headers.get("x-request-id", ""), limit=80)
    reason = f"{peer} answered HTTP {status}" + (f" to request {request_id}" if request_id else "")
    reason += f": {peer.clean(about)}" if about else ""
    if kind is FailureKind.BAD_REQUEST:
        return Rejected(reason, about)
    return CallError(kind, reason, billed=billed, retry_after=retry_after(headers))


def _bad_body(raw: bytes, error: ValidationError, peer: Peer, what: str) -> CallError:
    body = _json(raw)
    said = _message(body)
    if said:
        # Gateways that had begun to answer before the model failed send its status inside.
        inner = body.get("error") if isinstance(body, dict) else None
        code = inner.get("code") if isinstance(inner, dict) else None
        if isinstance(code, int) and 400 <= code < 600:
            failure = _failure(code, {}, said, peer)
            failure.billed |= code >= 500  # what had been written by then may be charged
            return failure
        return bad_response(f"{peer} sent an error as its answer: {peer.clean(said)}")
    wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = "".join(f"{part}: " for part in wrong["loc"][-1:])
    return bad_response(f"{peer} sent what is not {what}: {where}{peer.clean(wrong['msg'], limit=120)}")


def bad_response(reason: str) -> CallError:
    """The error that an answer is which makes no sense; it may have been billed."""
    return CallError(FailureKind.BAD_RESPONSE, reason, billed=True)


def _json(raw: bytes) -> object:
    try:
        return from_json(raw)
    except ValueError:
        return None


def _message(body: object) -> str:
    """What an error body says: servers agree on none of these shapes. The code and the field it names come along."""
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    said = error.get("message") or error.get("detail") or error.get("msg") or ""
    named = [f"{name}: {error[name]}" for name in ("code", "type", "param") if isinstance(error.get(name), str)]
    return "; ".join([said if isinstance(said, str) else repr(said), *named]).strip("; ") if said or named else ""
