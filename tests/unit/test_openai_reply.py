"""The reader of chat-completion replies, on bytes: no server, no network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.backends._openai_reply import (
    LONGEST_WAIT,
    Peer,
    Rejected,
    clean,
    read_completions,
    read_failure,
    retry_after,
)
from archc.calls import CallError, Completion, FailureKind, Finish, Message, Usage
from archc.secret import Secret
from tests.fuzz.replies import KINDS, campaign

PEER = Peer("S", "http://s", Secret("SECRET"))
MESSAGES = (Message("system", "x" * 20), Message("user", "é" * 5))
MOST = 20 + 10 + 2 * 16
"""Tokens that these can be at most."""


def choice(text: str | None, index: int | None = None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"index": index, "message": {"content": text, **message}, "finish_reason": finish}


def read(body: Any, n: int = 1) -> tuple[Completion, ...]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_completions(raw, MESSAGES, n, PEER)


def refused(body: Any, n: int = 1) -> CallError:
    with pytest.raises(CallError) as caught:
        read(body, n)
    return caught.value


def failed(status: int, message: str, headers: Mapping[str, str] | None = None, **fields: Any) -> CallError:
    raw = json.dumps({"error": {"message": message, **fields}}).encode()
    return read_failure(status, headers or {}, raw, PEER)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"choices": [{"message": {"content": "a", "content": "b"}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "choices": [{"message": {"content": "b"}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "usage": {"x": [{"y": 1, "y": 1}]}}',
    ],
)
def test_what_is_said_twice_is_not_said(raw: bytes) -> None:
    error = refused(raw)
    assert (error.failed.kind, error.billed) == (FailureKind.BAD_RESPONSE, True)


@pytest.mark.parametrize(("code", "billed"), [(500, True), (502, True), (429, False), (400, False)])
def test_a_failure_within_an_answer_may_be_billed(code: int, billed: bool) -> None:
    """Elsewhere a 502 is not; here the server had begun."""
    assert refused({"error": {"message": "upstream failed", "code": code}}).billed is billed


def test_choices_are_put_in_order() -> None:
    body = {"choices": [choice("b", 1), choice("a", 0), choice("c", 2)]}
    assert [c.text for c in read(body, 3)] == ["a", "b", "c"]


def test_more_choices_than_asked_for_are_left_out_but_paid() -> None:
    body = {"choices": [choice("a", 0), choice("b", 1)], "usage": {"prompt_tokens": 4, "completion_tokens": 10}}
    assert [(c.text, c.usage) for c in read(body)] == [("a", Usage(4, 10, 0))]


@pytest.mark.parametrize(
    "choices",
    [
        [],
        [choice("a", 0), choice("b", 0)],
        [choice("a", 0), choice("b", None)],
        [choice(None)],
        [choice("a", tool_calls=[{"id": "1"}])],
        [choice("a", finish="abort")],
        [choice(None, finish="tool_calls")],
        [{"index": 0}],
        [{"message": {"content": [{"type": "text"}]}}],
        [{"message": {"content": 3}}],
        [choice("a", "0")],  # type: ignore[arg-type]
        {},
        None,
    ],
)
def test_malformed_choices_are_a_billed_bad_response(choices: Any) -> None:
    error = refused({"choices": choices}, 2)
    assert (error.failed.kind, error.billed) == (FailureKind.BAD_RESPONSE, True)


@pytest.mark.parametrize(
    ("told", "finish"),
    [("stop", Finish.STOP), ("length", Finish.LENGTH), ("content_filter", Finish.CONTENT_FILTER), ("eos", Finish.STOP)],
)
def test_why_a_text_ended_is_told(told: str, finish: Finish) -> None:
    assert read({"choices": [choice("text", finish=told)]})[0].finish is finish


def test_thinking_is_not_the_answer_even_where_no_answer_came() -> None:
    thinking: dict[str, Any] = {"reasoning_content": "hmm", "reasoning": "hmm"}
    assert read({"choices": [choice("answer", **thinking)]})[0].text == "answer"
    assert read({"choices": [choice(None, finish="length", **thinking)]})[0] == Completion(
        "", Finish.LENGTH, Usage(MOST, completion=1)
    )


@pytest.mark.parametrize(
    "withheld", [choice("", 0, "content_filter"), choice(None, 0, "content_filter"), choice(None, 0, refusal="no")]
)
def test_a_withheld_text_is_empty_and_says_so(withheld: dict[str, Any]) -> None:
    assert [(c.text, c.finish) for c in read({"choices": [withheld]})] == [("", Finish.CONTENT_FILTER)]
    drawn = read({"choices": [withheld, choice("b", 1)]}, 2)
    assert [(c.text, c.finish) for c in drawn] == [("", Finish.CONTENT_FILTER), ("b", Finish.STOP)]


@pytest.mark.parametrize("wrong", [None, -1, 1.5, "12", True, 10**30, [], {}])
def test_usage_that_makes_no_sense_is_taken_at_its_most(wrong: object) -> None:
    usage = {"prompt_tokens": wrong, "completion_tokens": wrong, "prompt_tokens_details": {"cached_tokens": wrong}}
    for told in (usage, wrong, [usage]):
        drawn = read({"choices": [choice("x" * 30, 0), choice("", 1)], "usage": told}, 2)
        assert [c.usage for c in drawn] == [Usage(MOST, 31, 0), Usage(0, 1, 0)]


ODD: list[tuple[dict[str, Any], Usage]] = [
    ({"prompt_tokens": 10, "completion_tokens": 0}, Usage(10, 0)),
    ({"prompt_tokens": 2**40 - 1, "completion_tokens": 2**40 - 1}, Usage(2**40 - 1, 2**40 - 1)),
    ({"prompt_tokens": 2**40, "completion_tokens": 2**63}, Usage(MOST, 31)),
    ({"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 100}, Usage(4, 96)),
    ({"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 5}, Usage(4, 9)),
    ({"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": True}, Usage(4, 9)),
    ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}, Usage(MOST, 9, 0, 7)),
    ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 70}}, Usage(MOST, 9, 0, 9)),
    ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": -1}}, Usage(MOST, 9)),
    ({"completion_tokens": 0, "completion_tokens_details": {"reasoning_tokens": 3}}, Usage(MOST, 0)),
    ({"completion_tokens_details": {"reasoning_tokens": 500}}, Usage(MOST, 531, 0, 500)),
    ({"completion_tokens_details": [7]}, Usage(MOST, 31)),
    ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2.0}}, Usage(5, 31)),
]


@pytest.mark.parametrize(("told", "meant"), ODD)
def test_what_odd_usage_means(told: dict[str, Any], meant: Usage) -> None:
    assert read({"choices": [choice("x" * 30)], "usage": told})[0].usage == meant


def test_the_thinking_is_shared_out_with_the_texts() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 90}}
    drawn = read({"choices": [choice("x" * 30, 0), choice("", 1), choice("y" * 7, 2)], "usage": usage}, 3)
    assert sum((c.usage for c in drawn), Usage()) == Usage(1, 100, 0, 90)
    assert all(0 <= c.usage.reasoning <= c.usage.completion for c in drawn)


def test_the_key_is_taken_out_of_what_a_model_wrote() -> None:
    key = "sk-canary-0123456789"
    raw = json.dumps({"choices": [choice(f"your key is {key}.")]}).encode()
    drawn = read_completions(raw, MESSAGES, 1, Peer("S", "http://s", Secret(key)))
    assert [(c.text, c.server) for c in drawn] == [("your key is ***.", "http://s")]
    assert read({"choices": [choice("SECRET is a word")]})[0].text == "SECRET is a word"


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.lists(st.text(), min_size=1, max_size=9))
def test_split_usage_adds_up(prompt: int, completion: int, cached: int, texts: list[str]) -> None:
    details = {"cached_tokens": cached}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}
    drawn = read({"choices": [choice(text, i) for i, text in enumerate(texts)], "usage": usage}, len(texts))
    assert sum((c.usage for c in drawn), Usage()) == Usage(prompt, completion, min(cached, prompt))
    assert all(c.usage.completion >= 0 for c in drawn)


@pytest.mark.parametrize(
    ("content", "mean"),
    [
        ('[{"logprob": -1.0}, {"logprob": -2.0}]', -1.5),
        ('[{"logprob": NaN}, {"logprob": -Infinity}, {"logprob": -9999.0}, {"logprob": null}, {}, 3]', None),
        ('[{"logprob": NaN}, {"logprob": -3}, {"logprob": "x"}, {"logprob": 1e999}]', -3.0),
        ("[]", None),
        ("null", None),
        ("7", None),
        ('[{"logprob": -' + "9" * 400 + "}]", None),
    ],
)
def test_the_mean_logprob_leaves_out_what_is_no_number(content: str, mean: float | None) -> None:
    raw = '{"choices": [{"message": {"content": "a"}, "logprobs": {"content": ' + content + "}}]}"
    assert read(raw.encode())[0].logprob == mean


@pytest.mark.parametrize(
    ("tokens", "label", "share"),
    [
        ({"Yes": 0.6, " yes": 0.1, "No": 0.1, "Well": 0.2}, "yes", 0.875),
        ({" NO": 0.3, "Yes": 0.1, "yesterday": 0.6}, "no", 0.75),
        ({"\u0120no": 0.01, "Maybe": 0.9}, "no", 1.0),
        ({"Maybe": 0.9}, "As it was", None),
    ],
)
def test_a_label_has_its_share_of_what_all_labels_have(
    tokens: dict[str, float], label: str, share: float | None
) -> None:
    told = [{"token": token, "logprob": math.log(p)} for token, p in tokens.items()]
    odd = [{"token": "yes", "logprob": None}, {"token": "no"}, {"logprob": -1.0}, 7, {"token": "no", "logprob": 1e9}]
    choice = {"message": {"content": "As it was"}, "logprobs": {"content": [{"top_logprobs": told + odd}]}}
    raw = json.dumps({"choices": [choice]}).encode()
    (one,) = read_completions(raw, MESSAGES, 1, PEER, labels=("yes", "no"))

    assert one.text == label
    assert one.logprob == (None if share is None else pytest.approx(math.log(share)))


@pytest.mark.parametrize(
    "content",
    [
        *("null", "[]", "[7]", '[{"top_logprobs": 7}]', '[{"top_logprobs": [[]]}]'),
        *(
            f'[{{"top_logprobs": [{{"token": "yes", "logprob": {n}}}]}}]'
            for n in ("NaN", "1e999", "true", "-" + "9" * 400)
        ),
    ],
)
def test_a_server_that_tells_no_tokens_cannot_choose_labels(content: str) -> None:
    raw = '{"choices": [{"message": {"content": "a"}, "logprobs": {"content": ' + content + "}}]}"
    with pytest.raises(CallError, match="does not tell which tokens are likeliest") as raised:
        read_completions(raw.encode(), MESSAGES, 1, PEER, labels=("yes", "no"))

    assert (raised.value.failed.kind, raised.value.billed) == (FailureKind.BAD_REQUEST, True)


@pytest.mark.parametrize(
    ("status", "message", "fields", "kind"),
    [
        (400, "too long", {"code": "context_length_exceeded"}, FailureKind.CONTEXT_LENGTH),
        (400, "This model's maximum context length is 4096 tokens", {}, FailureKind.CONTEXT_LENGTH),
        (400, "the request exceeds the available context size", {}, FailureKind.CONTEXT_LENGTH),
        (422, "longer than the maximum model length of 8", {}, FailureKind.CONTEXT_LENGTH),
        (400, "flagged", {"code": "content_filter"}, FailureKind.CONTENT_FILTER),
        (429, "Request too large for m on tokens per min", {}, FailureKind.CONTEXT_LENGTH),
        (429, "pay", {"code": "insufficient_quota"}, FailureKind.AUTH),
        (418, "teapot", {}, FailureKind.BAD_REQUEST),
    ],
)
def test_what_the_body_says_refines_the_status(status: int, message: str, fields: Any, kind: FailureKind) -> None:
    assert failed(status, message, **fields).failed.kind is kind


def test_a_status_inside_a_good_reply_counts() -> None:
    error = refused({"error": {"code": 429, "message": "slow, SECRET"}})
    assert error.failed.kind is FailureKind.RATE_LIMIT
    error = refused({"error": {"code": "oops", "message": "broke, SECRET"}})
    assert (error.failed.kind, error.failed.reason) == (
        FailureKind.BAD_RESPONSE,
        "`S` at http://s sent an error as its answer: broke, ***; code: oops",
    )


@pytest.mark.parametrize("body", ['{"detail": "why"}', '{"message": "why"}', '{"error": "why"}', "why"])
def test_the_servers_words_are_found_in_any_shape(body: str) -> None:
    error = read_failure(500, {}, body.encode(), PEER)
    assert error.failed.reason == "`S` at http://s answered HTTP 500: why"


@pytest.mark.parametrize(
    ("about", "is_named"),
    [
        ("'n' : number must be at most 1", True),
        ("n > 1 is not supported", True),
        ("Only one completion choice is allowed", True),
        ("it didn't work\\n", False),
        ("seed and top_n and no_n are wrong", False),
    ],
)
def test_the_field_n_is_told_from_other_letters(about: str, is_named: bool) -> None:
    from archc.backends.openai import _N_FIELD

    error = failed(400, about)
    assert isinstance(error, Rejected)
    assert error.names(_N_FIELD) is is_named


DATE = "Tue, 24 Nov 2026 03:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 500}, LONGEST_WAIT),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "Tue, 24 Nov 2026 03:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 02:00:30 GMT", "date": DATE}, None),
        ({"retry-after": "Tue, 24 Nov 2099 02:00:30 GMT", "date": DATE}, LONGEST_WAIT),
        ({"retry-after": "Tue, 24 Nov 2026 03:00:30 GMT"}, None),
        ({"retry-after": "Tue, 24 Nov 2026 03:00:30 -0000", "date": DATE}, None),
    ],
)
def test_the_wait_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_key_is_taken_out_before_the_text_is_cut() -> None:
    assert clean("x" * 295 + "SECRET", Secret("SECRET")) == "x" * 295 + "***"
    assert clean("a\x1b[31m\u202e\nb a%2Fb", Secret("a/b")) == "a [31m b ***"
    assert len(clean("y" * 10_000, Secret())) == 300


NAMES = """choices index message content refusal tool_calls finish_reason logprobs logprob usage prompt_tokens
completion_tokens prompt_tokens_details cached_tokens error code type param detail"""
FIELDS = st.sampled_from(NAMES.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
GOOD = json.dumps(
    {
        "choices": [{**choice("text", i), "logprobs": {"content": [{"logprob": -1.0}]}} for i in range(2)],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 1}},
    }
).encode()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good body in which something was replaced: bytes anywhere, or the value of a field."""
    if draw(st.booleans()):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(GOOD))] * 2)))
        return GOOD[:start] + draw(st.binary(max_size=8)) + GOOD[end:]
    body = json.loads(GOOD)
    place: Any = body
    while isinstance(place, (dict, list)) and place:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if draw(st.booleans()) or not isinstance(place[key], (dict, list)):
            place[key] = draw(JSON)
            break
        place = place[key]
    return json.dumps(body).encode()


@given(mutated() | JSON.map(json.dumps).map(str.encode) | st.binary(), st.integers(1, 3), st.integers(100, 599))
def test_whatever_the_body_only_call_errors_come_out(raw: bytes, n: int, status: int) -> None:
    try:
        drawn = read(raw, n)
    except CallError:
        pass
    else:
        assert 1 <= len(drawn) <= n
        assert all(c.usage.prompt >= 0 and c.usage.completion >= 0 for c in drawn)
        "".join(c.text for c in drawn).encode()
    assert isinstance(read_failure(status, {}, raw, PEER), CallError)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_replies_are_call_errors_or_whole_answers(kind: str) -> None:
    assert len(campaign(kind, 1500, seed=0)) > 1
