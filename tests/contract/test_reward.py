"""The reward backend: what it asks a server, what it makes of the answers, and that a spec can rank by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archc import api
from archc.backends.openai import OpenAI
from archc.backends.reward import Reward
from archc.calls import CallError, Capabilities, Completion, FailureKind, Message, Purpose, Request, Sampling
from archc.diagnostics import SpecError
from archc.planning.plan import Plan
from archc.source import Source
from tests.contract.test_backends import started_vllm
from tests.openai_calls import no_key
from tests.servers import Answer, Raw, Script, Server, serve

TALK = (Message("system", "Be kind."), Message("user", "What is 2+2?"), Message("assistant", "It is 4."))
ASKED = Request(TALK, Sampling(temperature=0.0, max_tokens=1), (5,), Purpose("score", "reward"))


def pooled(*numbers: Any, **changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 44, "total_tokens": 44, "completion_tokens": 0, "prompt_tokens_details": None}
    return {"data": [{"index": 0, "object": "pooling", "data": list(numbers)}], "usage": usage, **changes}


def asked(answer: Answer | Script, **options: Any) -> tuple[Completion, Server]:
    async def go() -> tuple[Completion, Server]:
        async with serve(answer) as server:
            backend = Reward("rm", Reward.Options(base_url=server.url, probe=False, **options), no_key)
            await backend.start()
            try:
                [one] = await backend.complete(ASKED)
            finally:
                await backend.close()
            return one, server

    return asyncio.run(go())


def test_the_conversation_is_asked_for_its_number_without_the_activation() -> None:
    one, server = asked(pooled(-1.1428289413452148), extra_body={"truncate_prompt_tokens": 900})
    assert float(one.text) == -1.1428289413452148
    assert (one.usage.prompt, one.usage.completion, one.logprob) == (44, 0, None)
    assert server.requests[0].path == "/pooling"
    assert server.requests[0].body == {
        "model": "rm",
        "messages": [{"role": m.role, "content": m.content} for m in TALK],
        "use_activation": False,
        "truncate_prompt_tokens": 900,
    }


def test_of_two_labels_the_last_counts_against_the_first() -> None:
    assert float(asked(pooled(0.5, 2.0))[0].text) == 1.5


def test_cross_encoders_are_asked_about_pairs() -> None:
    one, server = asked({"data": [{"index": 0, "score": 3}], "usage": {"prompt_tokens": 9}}, route="score")
    assert float(one.text) == 3.0
    assert server.requests[0].path == "/score"
    assert server.requests[0].body == {
        "model": "rm",
        "text_1": "What is 2+2?",
        "text_2": "It is 4.",
        "use_activation": False,
    }


@pytest.mark.parametrize(
    "answer",
    [
        pooled(),
        pooled(1.0, 2.0, 3.0),
        pooled("1.0"),
        pooled(True),
        pooled([1.0]),
        pooled(1e308, -1e308),
        pooled(1.0, data=[]),
        pooled(1.0, data=pooled(1.0)["data"] * 2),
        {"data": [{"index": 0}]},
        Raw(b'{"data": [{"data": [NaN]}]}'),
        Raw(b'{"data": [{"data": [1e999]}]}'),
        Raw(b'{"data": [{"data": [1.0], "data": [2.0]}]}'),
        Raw(b"[" * 100_000),
        Raw(b"<html>"),
        "a chat completion",
    ],
    ids=str,
)
def test_what_is_no_reward_is_an_answer_that_makes_no_sense(answer: Answer) -> None:
    with pytest.raises(CallError) as caught:
        asked(answer)
    assert caught.value.failed.kind is FailureKind.BAD_RESPONSE
    assert caught.value.billed


SPEC = """
models:
  m: {{backend: simulated, model: m, verbosity: 12}}
  o: {{backend: openai, model: o, base_url: "{url}"}}
  rm: {{backend: reward, model: rm, base_url: "{url}"}}
pipeline:
  - generate: {{model: {writer}, n: 4}}
  - score: {{model: {scorer}, by: reward}}
  - select: {{by: score}}
"""


def compiled(url: str = "http://127.0.0.1:1/v1", writer: str = "m", scorer: str = "rm") -> Plan:
    return api.compile(Source("s.yaml", SPEC.format(url=url, writer=writer, scorer=scorer)))


def test_a_spec_takes_the_answer_with_the_largest_reward(tmp_path: Path) -> None:
    def worth(text: str) -> float:
        return 30 + len(text) / 1000  # so near to certain that an activation would make them equal

    async def go() -> tuple[str | None, list[str]]:
        async with serve(lambda body: pooled(worth(body["messages"][-1]["content"]))) as server:
            async with api.session(compiled(server.url), journal=tmp_path / "j") as session:
                run = await session.answer("Which?")
            return run.text, [request.body["messages"][-1]["content"] for request in server.requests]

    text, scored = asyncio.run(go())
    assert len(set(map(worth, scored))) > 1
    assert text == max(scored, key=worth)


def test_models_that_write_and_models_that_reward_are_told_apart() -> None:
    assert compiled(scorer="m").graph  # simulated models do both
    with pytest.raises(SpecError, match="`score` needs rewards, which the backend `openai` of `o` does not give"):
        compiled(scorer="o")
    with pytest.raises(SpecError, match="`generate` needs texts, which the backend `reward` of `rm` does not give"):
        compiled(writer="rm")


# ---- against the real one


@pytest.fixture(scope="module")
def vllm() -> Iterator[str]:
    """vLLM's server with a reward model made of the embedded one: how much likelier it would say "yes" than "no"."""
    how = {
        "architectures": ["LlamaForSequenceClassification"],
        "method": "from_2_way_softmax",
        "classifier_from_token": ["no", "yes"],
    }
    flags = ["--runner", "pooling", "--convert", "classify", "--hf-overrides", json.dumps(how)]
    with started_vllm(*flags) as url:
        yield url


@pytest.mark.model
@pytest.mark.parametrize("route", ["pooling", "score"])
def test_vllm_gives_the_same_number_each_time_and_another_for_another_answer(vllm: str, route: Any) -> None:
    backend = Reward("smollm2", Reward.Options(base_url=vllm, route=route), no_key)

    async def go() -> list[float]:
        await backend.start()
        texts = ("It is 4.", "It is 4.", "It is five, I think.", "Bananas grow in warm countries, far from the sea.")
        others = [Message("assistant", text) for text in texts]
        try:
            done = [await backend.complete(replace(ASKED, messages=(*TALK[:2], said))) for said in others]
        finally:
            await backend.close()
        assert all(one.usage.prompt > 5 and one.usage.completion == 0 for (one,) in done)
        return [float(one.text) for (one,) in done]

    first, again, *others = asyncio.run(go())
    assert first == pytest.approx(again, abs=0.05)
    assert max(abs(first - other) for other in others) > 0.05
    assert Reward.known("smollm2", Reward.Options(base_url=vllm)) == Capabilities(text=False, reward=True, context=1024)
    assert not OpenAI.known("smollm2", OpenAI.Options(base_url=vllm)).text
