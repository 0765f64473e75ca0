"""The embedding backend: what it asks a server, what it makes of the answers, and that medoids go by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archc import api
from archc.backends.embedding import Embedding
from archc.calls import CallError, Completion, FailureKind, Message, Purpose, Request, Sampling
from archc.source import Source
from archc.vectors import cosine, unpacked
from tests.contract.test_backends import started_vllm
from tests.openai_calls import no_key
from tests.servers import Answer, Raw, Script, Server, serve


def asking(text: str) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=1), (5,), Purpose("select", "embedding"))


def embedded(*numbers: Any, **changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return {"object": "list", "data": [{"index": 0, "embedding": list(numbers)}], "usage": usage, **changes}


def asked(answer: Answer | Script, *texts: str) -> tuple[list[Completion], Server]:
    async def go() -> tuple[list[Completion], Server]:
        async with serve(answer) as server:
            backend = Embedding("e", Embedding.Options(base_url=server.url, probe=False), no_key)
            return await drawn(backend, texts), server

    return asyncio.run(go())


async def drawn(backend: Embedding, texts: tuple[str, ...]) -> list[Completion]:
    await backend.start()
    try:
        return [one for text in texts for one in await backend.complete(asking(text))]
    finally:
        await backend.close()


def test_a_text_is_asked_for_its_vector() -> None:
    [one], server = asked(embedded(0.5, -2, 3.25), "the text")
    assert list(unpacked(one.text)) == [0.5, -2.0, 3.25]
    assert (one.usage.prompt, one.usage.completion) == (4, 0)
    assert server.requests[0].path == "/v1/embeddings"
    assert server.requests[0].body == {"model": "e", "input": "the text", "encoding_format": "float"}


@pytest.mark.parametrize(
    "answer",
    [
        embedded(),
        embedded("1"),
        embedded(None),
        embedded([1.0]),
        embedded(1e39),
        embedded(1.0, data=[]),
        embedded(1.0, data="AAAA"),
        Raw(b'{"data": [{"embedding": [NaN]}]}'),
        Raw(b'{"data": [{"embedding": [1.0], "embedding": [2.0]}]}'),
        Raw(b"<html>"),
        "a chat completion",
    ],
    ids=str,
)
def test_what_is_no_vector_is_an_answer_that_makes_no_sense(answer: Answer) -> None:
    with pytest.raises(CallError) as caught:
        asked(answer, "x")
    assert caught.value.failed.kind is FailureKind.BAD_RESPONSE


SPEC = """
models:
  m: {{backend: simulated, model: m}}
  e: {{backend: embedding, model: e, base_url: "{url}"}}
pipeline:
  - generate: {{model: m, n: 5}}
  - select: {{by: medoid, model: e}}
"""


def test_a_spec_takes_the_answer_that_is_most_like_the_others(tmp_path: Path) -> None:
    seen: list[str] = []

    def vectors(body: dict[str, Any]) -> Answer:
        """The third text that is asked about lies between the first two."""
        seen.append(body["input"])
        return embedded(*([1, 0, 0], [0, 1, 0], [1, 1, 0.2], [0, 0.1, 1], [0.1, 0, -1])[len(seen) - 1])

    async def go() -> str | None:
        async with serve(vectors) as server:
            plan = api.compile(Source("s.yaml", SPEC.format(url=server.url)))
            async with api.session(plan, journal=tmp_path / "j") as session:
                return (await session.answer("Which?")).text

    text = asyncio.run(go())
    assert len(set(seen)) == 5
    assert text == seen[2]


@pytest.fixture(scope="module")
def vllm() -> Iterator[str]:
    """vLLM's server with the embedded model as one that embeds."""
    with started_vllm("--runner", "pooling", "--convert", "embed") as url:
        yield url


@pytest.mark.model
def test_vllm_gives_like_texts_like_vectors(vllm: str) -> None:
    texts = ("It is 4.", "It is 4.", "The answer is 4.", "Bananas grow in warm countries, far from the sea.")
    backend = Embedding("smollm2", Embedding.Options(base_url=vllm), no_key)
    first, again, like, other = (unpacked(one.text) for one in asyncio.run(drawn(backend, texts)))

    assert len(first) == 576
    assert cosine(first, again) > 0.999
    assert cosine(first, like) > cosine(first, other)
