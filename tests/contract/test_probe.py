"""What a server is found to be able to do, and what follows from it: against servers that publish what real ones do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.backends import probe as probes
from archc.backends.probe import Known, probe, recall
from archc.calls import Finish
from archc.cli import main
from archc.diagnostics import RunError
from archc.source import Source
from tests.openai_calls import asked, connected
from tests.servers import Answer, Raw, Script, completion, serve

FIELDS = ("n", "logprobs", "seed", "response_format", "prompt_logprobs", "continue_final_message", "stop_token_ids")


def openapi(*fields: str, paths: tuple[str, ...] = ("/tokenize", "/detokenize")) -> dict[str, Any]:
    schema = {"properties": {name: {} for name in fields}}
    return {
        "paths": {path: {} for path in ("/v1/chat/completions", *paths)},
        "components": {"schemas": {"ChatCompletionRequest": schema, "Other": {"properties": {"echo": {}}}}},
    }


def models(*names: str, **about: Any) -> dict[str, Any]:
    return {"data": [{"id": name, **about} for name in names]}


VLLM = {
    "/version": {"version": "0.32.0"},
    "/health": {},
    "/v1/models": models("small", max_model_len=4096),
    "/openapi.json": openapi(*FIELDS),
}
SGLANG = {
    "/get_server_info": {"version": "0.5.6", "tp_size": 1},
    "/v1/models": models("small", max_model_len=8192),
    "/openapi.json": openapi(*FIELDS, paths=("/tokenize",)),
}
LLAMA_CPP = {
    "/props": {"build_info": "b8681", "default_generation_settings": {"n_ctx": 2048}},
    "/v1/models": models("some.gguf"),
}
PLAIN = {"/v1/models": models("gpt-x", "gpt-y", context_window=128_000)}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHC_CACHE", str(tmp_path / "cache"))


def found(routes: dict[str, Any], answer: Answer | Script = "ok", *, ask: bool = False, model: str = "small") -> Known:
    async def go() -> Known:
        async with serve(answer, routes=routes) as server:
            known, _ = await probe(server.url, model, "", ask=ask)
            assert bool(server.requests) == ask  # not a token is spent unasked
            return known

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("routes", "server", "context", "can", "cannot"),
    [
        (VLLM, "vllm 0.32.0", 4096, {"n", "seed", "continuation", "stop_token_ids", "detokenize"}, {"embeddings"}),
        (SGLANG, "sglang 0.5.6", 8192, {"n", "schema", "prompt_logprobs", "tokenize"}, {"seed", "detokenize"}),
        (LLAMA_CPP, "llama.cpp b8681", 2048, {"n", "seed", "cached_tokens"}, {"prompt_logprobs", "stop_token_ids"}),
        (PLAIN, "openai ", None, set(), set()),
    ],
    ids=["vllm", "sglang", "llama.cpp", "plain"],
)
def test_what_servers_publish_is_understood(
    routes: dict[str, Any], server: str, context: int | None, can: set[str], cannot: set[str]
) -> None:
    known = found(routes)
    assert (f"{known.server} {known.version}", known.context) == (server, context)
    assert {name for name, yes in known.features.items() if yes} >= can
    assert {name for name, yes in known.features.items() if not yes} >= cannot
    assert known.models == tuple(entry["id"] for entry in routes["/v1/models"]["data"])


def test_the_context_is_that_of_the_model_that_is_asked_for() -> None:
    assert found(PLAIN, model="gpt-y").context == 128_000


def obedient(body: dict[str, Any]) -> Answer:
    """Does all that can be asked of it; what it writes depends on the request, not on the seed alone."""
    text = '{"colour": "ultramarine"}' if "response_format" in body else f"word {body['seed']}"
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}
    told = completion(*[text] * body.get("n", 1), usage=usage, prompt_logprobs=[None])
    for choice in told["choices"]:
        choice["logprobs"] = {"content": [{"token": "w", "logprob": -0.5}]} if body.get("logprobs") else None
    return told


def test_what_is_not_published_is_tried() -> None:
    known = found({}, obedient, ask=True)
    tried = {"logprobs", "seed", "cached_tokens", "n", "schema", "prompt_logprobs"}
    assert {name for name, yes in known.features.items() if yes} == tried
    assert known.features.items() >= {"tokenize": False, "detokenize": False}.items()
    assert known.asked


def test_a_server_that_only_seems_to_obey_is_found_out() -> None:
    counter = iter(range(100))
    known = found(VLLM, lambda _: f"another word {next(counter)}", ask=True)
    wrong = {"logprobs", "seed", "schema", "prompt_logprobs", "cached_tokens"}
    assert {name for name, yes in known.features.items() if yes} & wrong == set()
    assert known.features["n"]  # it does give two


@pytest.mark.parametrize(
    "routes",
    [
        {"/version": {"version": 7}, "/props": {"build_info": []}, "/v1/models": {"data": [{"id": 3}, "x", None]}},
        {"/version": {"version": "9"}, "/v1/models": models("small", max_model_len="long"), "/openapi.json": []},
        {"/version": {"version": "9" * 9999}, "/openapi.json": {"paths": {"/v1/chat/completions": 1}, "components": 2}},
    ],
)
def test_nonsense_is_nothing_known(routes: dict[str, Any]) -> None:
    known = found(routes, Raw(b"[[["), ask=True)
    assert known.context is None
    assert not any(known.features.values())
    assert len(known.version) < 100


def test_no_server_is_said_so() -> None:
    with pytest.raises(RunError, match="there is no server at `http"):
        asyncio.run(probe("http://127.0.0.1:1/v1", "", "", ask=True))


def test_what_was_asked_is_kept_until_the_server_is_another_version() -> None:
    async def go() -> None:
        routes = {**VLLM}
        async with serve(obedient, routes=routes) as server:
            known, _ = await probe(server.url, "small", "", ask=True)
            routes["/v1/models"] = models("small", max_model_len=64)
            async with connected(server.url, probe=True):
                pass
            kept = recall(server.url, "small")
            assert kept == replace(known, context=64)
            assert server.read.count("/openapi.json") == 1
            routes["/version"] = {"version": "0.33.0"}
            async with connected(server.url, probe=True):
                pass
            assert recall(server.url, "small") != kept
            assert not (recall(server.url, "small") or known).asked

    asyncio.run(go())


def test_a_broken_or_foreign_file_in_the_cache_is_nothing_known(tmp_path: Path) -> None:
    probes.keep("http://a/v1", Known("vllm"), "m")
    (file,) = (tmp_path / "cache" / "servers").iterdir()
    for text in ("", "{", "[]", '{"models": 3}', '{"models": [], "of": "tomorrow"}'):
        file.write_text(text)
        assert recall("http://a/v1", "m") is None


# ---- what follows


def test_a_server_that_takes_no_n_is_not_asked_for_it() -> None:
    async def go() -> None:
        without = {**VLLM, "/openapi.json": openapi("seed")}
        async with serve(routes=VLLM) as one, serve(routes=without) as other:
            async with connected(one.url, probe=True) as backend:
                assert backend.able.n
                assert backend.able.schema
            async with connected(one.url, other.url, probe=True) as backend:
                assert not backend.able.n
                assert not backend.able.schema
                await backend.complete(asked(schema='{"type": "object"}'))
            assert "response_format" not in (one.requests + other.requests)[0].body

    asyncio.run(go())


SPEC = """
models: {{m: {{backend: openai, model: small, base_url: "{url}"}}}}
pipeline:
  - generate: {{model: m, n: 2, max_tokens: 5000, logprobs: true}}
  - score: {{by: logprob}}
  - select: {{by: score}}
"""


def test_check_goes_by_what_is_known() -> None:
    async def look(routes: dict[str, Any]) -> str:
        async with serve(routes=routes) as server:
            await probe(server.url, "small", "", ask=False)
            return server.url

    plan = archc.compile(Source("a", SPEC.format(url=asyncio.run(look(VLLM)))), environ={})
    assert [w.name for w in plan.warnings] == ["over-context"]
    url = asyncio.run(look({**VLLM, "/openapi.json": openapi("n")}))
    with pytest.raises(archc.SpecError, match="log-probabilities"):
        archc.compile(Source("a", SPEC.format(url=url)), environ={})


def test_who_stopped_a_text_is_told_apart() -> None:
    def answer(_: dict[str, Any]) -> Answer:
        told = completion("a", "b", "c")
        for choice, (why, what) in zip(
            told["choices"], [("stop", None), ("stop", "END"), ("length", None)], strict=True
        ):
            choice |= {"finish_reason": why, "stop_reason": what}
        return told

    async def go(routes: dict[str, Any]) -> list[Finish]:
        async with serve(answer, routes=routes) as server, connected(server.url, probe=True) as backend:
            return [c.finish for c in await backend.complete(asked(3))]

    assert asyncio.run(go(VLLM)) == [Finish.EOS, Finish.STOP, Finish.LENGTH]
    assert asyncio.run(go({})) == [Finish.STOP, Finish.STOP, Finish.LENGTH]


def test_what_llama_cpp_does_not_count_is_estimated() -> None:
    usage = {"prompt_tokens": 30, "completion_tokens": 10}

    async def go() -> list[int]:
        answer = completion("x" * 40, "y" * 80, "z" * 5, usage=usage)
        async with serve(answer, routes=LLAMA_CPP) as server, connected(server.url, probe=True) as backend:
            return [c.usage.completion for c in await backend.complete(asked(3))]

    assert asyncio.run(go()) == [10, 20, 2]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def told(url: str, model: str, key: str, *, ask: bool) -> tuple[Known, str]:
        seen.append((url, model, ask))
        return Known("vllm", "1 \x1b[2J", ("a", "b"), 4096, {"n": True, "seed": False}), "a"

    seen: list[tuple[str, str, bool]] = []
    monkeypatch.setattr("archc.cli.probe.probe", told)
    for words in (["http://localhost:8000/v1/"], ["http://localhost:8000/v1", "--routes-only", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["probe", *words])
        assert ended.value.code == 0
    text, _, as_json = capsys.readouterr().out.rpartition("\n{")
    assert seen == [("http://localhost:8000/v1", "", True), ("http://localhost:8000/v1", "", False)]
    assert "\x1b" not in text
    assert "context: 4,096 tokens" in text
    assert json.loads("{" + as_json)["features"] == {"n": True, "seed": False}
