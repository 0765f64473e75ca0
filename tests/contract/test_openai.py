"""The openai backend against a local server: what it sends, what it makes of the answers, what it leaves behind."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archc.backends.openai import OpenAI
from archc.calls import CallError, FailureKind, Message, Sampling, Usage
from archc.diagnostics import RunError
from tests.openai_calls import all_of, asked, connected, drawn, failure, no_key, with_server
from tests.servers import Answer, Drop, Hang, Server, completion, error, serve

KEY = "sk-canary-0123456789"
SCHEMA = '{"type": "object"}'


def only_singles(body: dict[str, Any]) -> Answer:
    return error(400, "'n' : number must be at most 1 but is 3") if body.get("n", 1) > 1 else f"seed {body['seed']}"


def test_a_request_says_all_that_was_asked_for() -> None:
    sampling = Sampling(temperature=0.5, max_tokens=9, top_p=0.9, stop=("END",))
    request = asked(3, sampling=sampling, schema=SCHEMA, logprobs=True)
    completions, server = drawn("hello", request, extra_body={"top_k": 20})
    assert [c.text for c in completions] == ["hello"] * 3
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].body == {
        "model": "small",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 9,
        "stop": ["END"],
        "n": 3,
        "seed": 11,
        "logprobs": True,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
        "top_k": 20,
    }


def test_labels_are_asked_for_by_the_likeliest_tokens() -> None:
    told = [{"token": "Yes", "logprob": -0.5}, {"token": "No", "logprob": -1.5}]
    body = completion("Yes")
    body["choices"][0]["logprobs"] = {"content": [{"token": "Yes", "logprob": -0.5, "top_logprobs": told}]}
    ((one,), server) = drawn(body, asked(labels=("yes", "no")))
    assert (one.text, one.logprob) == ("yes", pytest.approx(-math.log(1 + math.exp(-1))))
    assert {key: server.requests[0].body[key] for key in ("logprobs", "top_logprobs")} == {
        "logprobs": True,
        "top_logprobs": 20,
    }


def test_a_reply_that_is_begun_is_gone_on_with_where_the_server_is_known_to_do_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHC_CACHE", str(tmp_path))
    request = asked(2)
    request = replace(request, messages=(*request.messages, Message("assistant", "Well,")))
    llama_cpp = {"/props": {"build_info": "b8681"}}
    schema = {"properties": {"continue_final_message": {}}}
    paths = {"/v1/chat/completions": {}}
    described = {"paths": paths, "components": {"schemas": {"ChatCompletionRequest": schema}}}
    vllm = {"/version": {"version": "0.32.0"}, "/openapi.json": described}

    async def go(reply: str, routes: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        async with serve(reply, routes=routes) as server, connected(server.url, probe=True) as backend:
            done = await all_of(backend, request)
            return [one.text for one in done], server.requests[0].body

    # llama.cpp's server says again what was begun
    for kind, reply, texts in ((llama_cpp, "Well, yes", [" yes"] * 2), (vllm, "Well, yes", ["Well, yes"] * 2)):
        found, body = asyncio.run(go(reply, kind))
        assert found == texts
        assert body["messages"][-1] == {"role": "assistant", "content": "Well,"}
        assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    with pytest.raises(CallError, match=r"`small` at .* is not known to go on with a reply that is begun"):
        asyncio.run(go("no", {}))


@pytest.mark.parametrize(
    ("choice", "told"),
    [("structured_outputs", {"json": {"type": "object"}}), ("guided_json", {"type": "object"}), ("none", None)],
)
def test_the_schema_goes_where_the_options_say(choice: str, told: object) -> None:
    _, server = drawn("{}", asked(schema=SCHEMA), schema_field=choice, max_tokens_field="max_completion_tokens")
    assert server.requests[0].body.get(choice) == told
    assert "response_format" not in server.requests[0].body
    assert server.requests[0].body["max_completion_tokens"] == 1024


def test_usage_adds_up_to_what_the_server_told() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 31, "prompt_tokens_details": {"cached_tokens": 64}}
    completions, _ = drawn(completion("a" * 20, "", "b" * 10, usage=usage), asked(3))
    assert [c.usage.prompt for c in completions] == [100, 0, 0]
    assert sum((c.usage for c in completions), Usage()) == Usage(100, 31, 64)


@pytest.mark.parametrize(
    ("told", "all_told", "seeds"),
    [(["one"], ["one", "single", "single", "single"], [11, 12, 13, 14]), (["a", "b"], ["a", "b", "a", "b"], [11, 13])],
    ids=["ignored", "capped"],
)
def test_missing_choices_are_asked_for_again(told: list[str], all_told: list[str], seeds: list[int]) -> None:
    async def check(server: Server, backend: OpenAI) -> None:
        assert [c.text for c in await all_of(backend, asked(4))] == all_told
        assert [r.body["seed"] for r in server.requests] == seeds
        assert backend.able.n == (len(told) > 1)

    with_server(check, lambda sent: completion(*told) if "n" in sent else "single")


def test_a_server_that_rejects_n_is_not_asked_for_it_again() -> None:
    async def check(server: Server, backend: OpenAI) -> None:
        for _ in range(2):
            completions = await all_of(backend, asked(3))
            assert [c.text for c in completions] == ["seed 11", "seed 12", "seed 13"]
        assert [r.body.get("n") for r in server.requests] == [3, *[None] * 6]

    with_server(check, only_singles)


def test_a_400_that_does_not_name_n_is_a_bad_request() -> None:
    raised = failure(error(400, "temperature must not be negative"), asked(3))
    assert (raised.failed.kind, raised.billed) == (FailureKind.BAD_REQUEST, False)


@pytest.mark.parametrize(("field", "message"), [("response_format", "response_format is unknown"), ("seed", "no seed")])
def test_a_rejected_field_is_dropped_and_remembered(field: str, message: str) -> None:
    async def check(server: Server, backend: OpenAI) -> None:
        for _ in range(2):
            assert (await all_of(backend, asked(schema=SCHEMA)))[0].text == "fine"
        assert [field in r.body for r in server.requests] == [True, False, False]

    with_server(check, lambda sent: error(400, message) if field in sent else "fine")


def test_a_field_is_not_blamed_for_what_fails_without_it_too() -> None:
    async def check(server: Server, backend: OpenAI) -> None:
        for _ in range(2):
            with pytest.raises(CallError, match="bad-request"):
                await all_of(backend, asked(2, schema=SCHEMA))
        assert ["response_format" in r.body for r in server.requests[:2]] == [True, False]
        assert server.requests[len(server.requests) // 2].body["n"] == 2

    with_server(check, error(400, "n, seed and schema are all wrong, says this server of everything"))


def test_a_text_that_is_not_unicode_is_a_bad_request() -> None:
    assert failure("ok", asked(text="\ud800")).failed.kind is FailureKind.BAD_REQUEST


def test_cancellation_frees_the_servers_slots() -> None:
    async def check(server: Server, backend: OpenAI) -> None:
        call = asyncio.create_task(all_of(backend, asked(3)))
        await server.until(lambda s: s.in_flight == 3)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until(lambda s: s.in_flight == 0)
        assert server.abandoned == 3

    with_server(check, Hang(), n=False)


def test_concurrency_is_not_limited_here() -> None:
    async def check(server: Server, backend: OpenAI) -> None:
        calls = [asyncio.create_task(all_of(backend, asked())) for _ in range(150)]
        await server.until(lambda s: s.in_flight == 150)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    with_server(check, Hang())


def test_the_least_busy_replica_is_chosen_and_a_dead_one_is_avoided_for_a_while() -> None:
    now = 0.0

    async def check() -> None:
        nonlocal now
        async with serve(Hang()) as first, serve("second") as second:
            options = OpenAI.Options(base_url=[first.url, second.url])
            backend = OpenAI("small", options, no_key, clock=lambda: now)
            await backend.start()
            busy = asyncio.create_task(all_of(backend, asked()))
            await first.until(lambda s: s.in_flight == 1)
            assert (await all_of(backend, asked()))[0].text == "second"
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            await backend.close()
        async with serve(Drop()) as first, serve("second") as second:
            options = OpenAI.Options(base_url=[first.url, second.url])
            backend = OpenAI("small", options, no_key, clock=lambda: now)
            await backend.start()
            for expected in (1, 1, 1):
                await asyncio.gather(all_of(backend, asked()), return_exceptions=True)
                assert len(first.requests) == expected
            now = 60.0
            await asyncio.gather(all_of(backend, asked()), return_exceptions=True)
            assert (len(first.requests), len(second.requests)) == (2, 2)
            await backend.close()

    asyncio.run(check())


def test_the_key_goes_to_its_own_place_only_and_never_shows() -> None:
    seen: list[tuple[str, str | None]] = []

    def key_for(place: str, variable: str | None) -> str | None:
        seen.append((place, variable))
        return KEY if place == "127.0.0.1" else None

    async def check() -> None:
        async with serve(lambda sent: error(401, f"bad key {KEY[:-1]}{KEY[-1]} \x1b[31m")) as one, serve("ok") as two:
            other = two.url.replace("127.0.0.1", "localhost")
            async with connected(one.url, other, key_for=key_for) as backend:
                with pytest.raises(CallError) as caught:
                    await all_of(backend, asked())
                assert KEY not in repr(caught.value) + repr(vars(backend)) + backend.fingerprint
                assert caught.value.failed.kind is FailureKind.AUTH
                assert "bad key *** " in caught.value.failed.reason
                assert "\x1b" not in caught.value.failed.reason
                assert caught.value.__context__ is None
                hung = [asyncio.create_task(all_of(backend, asked())) for _ in range(2)]
                await asyncio.gather(*hung, return_exceptions=True)
            assert one.requests[0].headers["Authorization"] == f"Bearer {KEY}"
            assert two.requests
            assert all("Authorization" not in r.headers for r in two.requests)

    asyncio.run(check())
    assert seen == [("127.0.0.1", None), ("localhost", None)]


@pytest.mark.parametrize("key", [None, "two words", "line\nbreak", "ключ"])
def test_a_key_that_is_missing_or_malformed_is_said_before_the_first_call(key: str | None) -> None:
    async def call() -> None:
        async with connected("http://127.0.0.1:1/v1", key_for=lambda *_: key, api_key_env="LAB_KEY"):
            pass

    with pytest.raises(RunError) as caught:
        asyncio.run(call())
    assert caught.value.diagnostic.name == "unusable-key"
    assert key is None or key not in str(caught.value)
