"""The llamacpp backend with the embedded model."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from archc.backends import weights
from archc.backends.llamacpp import LlamaCpp, consecutive
from archc.calls import CallError, Completion, FailureKind, Finish, Message, Purpose, Request, Sampling
from archc.diagnostics import RunError

SCHEMA = (
    '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}'
)
STORY = "Tell me a story about a fox."


def no_key(place: str, variable: str | None) -> None:
    return None


def backend(model: str = "embedded", slots: int = 4, context: int = 512) -> LlamaCpp:
    return LlamaCpp(model, LlamaCpp.Options(slots=slots, context=context), no_key)


def asked(
    *seeds: int, text: str = STORY, max_tokens: int = 24, schema: str | None = None, logprobs: bool = False
) -> Request:
    sampling = Sampling(max_tokens=max_tokens)
    return Request((Message("user", text),), sampling, seeds, Purpose("generate", "generate"), schema, logprobs)


@asynccontextmanager
async def started() -> AsyncIterator[LlamaCpp]:
    model = backend()
    await model.start()
    try:
        yield model
    finally:
        await model.close()


def drawn(*requests: Request) -> list[tuple[Completion, ...]]:
    """The answers to all requests, in flight together."""

    async def all_of_them() -> list[tuple[Completion, ...]]:
        async with started() as model:
            return await asyncio.gather(*(model.complete(r) for r in requests))

    return asyncio.run(all_of_them())


def texts(completions: Sequence[Completion]) -> list[str]:
    return [c.text for c in completions]


@pytest.mark.model
def test_each_sample_has_its_own_text_and_usage() -> None:
    [completions] = drawn(asked(3, 14, 15, 92, 65))
    assert len(set(texts(completions))) == 5
    assert all(0 < c.usage.completion <= 24 and c.usage.prompt > 0 for c in completions)


@pytest.mark.model
def test_a_seed_gives_its_text_alone_in_a_run_of_seeds_and_among_others() -> None:
    run, *single = drawn(asked(7, 8, 9, 10, 11, 12), *(asked(seed) for seed in (7, 8, 9, 10, 11, 12)))
    [alone] = drawn(asked(9))
    assert texts(run) == [c.text for [c] in single]
    assert texts(alone) == [run[2].text]


@pytest.mark.model
def test_consecutive_seeds_share_the_reading_of_the_prompt() -> None:
    [completions] = drawn(asked(7, 8, 9))
    assert [c.usage.cached for c in completions] == [0, *[completions[0].usage.prompt] * 2]


@pytest.mark.model
def test_a_schema_is_followed() -> None:
    [[completion]] = drawn(asked(1, text="How many legs has a spider?", max_tokens=60, schema=SCHEMA))
    assert isinstance(json.loads(completion.text)["n"], int)
    assert completion.finish is Finish.STOP


@pytest.mark.model
def test_logprobs_come_only_if_asked_for() -> None:
    [[with_it], [without]] = drawn(asked(1, logprobs=True), asked(1))
    assert with_it.logprob is not None
    assert with_it.logprob < 0
    assert without.logprob is None
    assert with_it.text == without.text


@pytest.mark.model
def test_max_tokens_bound_the_completion() -> None:
    [[completion]] = drawn(asked(1, max_tokens=5))
    assert (completion.usage.completion, completion.finish) == (5, Finish.LENGTH)


@pytest.mark.model
@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (asked(1, text="fox " * 600), FailureKind.CONTEXT_LENGTH),
        (asked(1, schema='{"type": "nonsense"}'), FailureKind.BAD_REQUEST),
        (asked(1, schema="{"), FailureKind.BAD_REQUEST),
        (asked(1, text="\ud800"), FailureKind.BAD_REQUEST),
    ],
    ids=["a long prompt", "an unknown type", "no JSON", "no Unicode"],
)
def test_a_refused_request_is_a_call_error_and_others_go_on(request_: Request, kind: FailureKind) -> None:
    async def both() -> None:
        async with started() as model:
            refused, fine = await asyncio.gather(
                model.complete(request_), model.complete(asked(2)), return_exceptions=True
            )
            assert isinstance(refused, CallError)
            assert refused.failed.kind is kind
            assert not isinstance(fine, BaseException)

    asyncio.run(both())


@pytest.mark.model
def test_a_cancelled_call_stops_and_leaves_the_model_usable() -> None:
    async def cancel_and_ask() -> None:
        async with started() as model:
            before = await model.complete(asked(5))
            # More than there are slots: some are being decoded when cancelled, some wait for a slot.
            long = [asyncio.create_task(model.complete(asked(1, 3, 5, max_tokens=400))) for _ in range(3)]
            await model.complete(asked(5, max_tokens=1))
            for task in long:
                task.cancel()
            ended = await asyncio.gather(*long, return_exceptions=True)
            assert all(isinstance(e, asyncio.CancelledError) for e in ended)
            assert texts(await model.complete(asked(5))) == texts(before)

    asyncio.run(cancel_and_ask())


@pytest.mark.model
def test_closing_ends_calls_and_threads_and_may_be_repeated() -> None:
    async def close_twice() -> None:
        model = backend()
        await model.start()
        call = asyncio.create_task(model.complete(asked(1, 5, max_tokens=400)))
        await model.complete(asked(5, max_tokens=1))
        await model.close()
        await model.close()
        with pytest.raises(CallError, match="closed"):
            await call
        with pytest.raises(CallError, match="not loaded"):
            await model.complete(asked(1))
        assert not [t for t in threading.enumerate() if t.name.startswith("llamacpp")]

    asyncio.run(close_twice())


def test_a_missing_file_says_what_to_give() -> None:
    with pytest.raises(RunError, match=r"there is no model file at `/nowhere/x\.gguf`"):
        asyncio.run(backend("/nowhere/x.gguf").start())
    with pytest.raises(RunError, match="there is no model file"):
        _ = backend("/nowhere/x.gguf").fingerprint


def test_a_broken_file_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_text("garbage")
    with pytest.raises(RunError, match=r"can't load .*expected 'GGUF'"):
        asyncio.run(backend(str(broken)).start())


def test_the_fingerprint_follows_the_content_and_the_options(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    one.write_text("a")
    other.write_text("a")
    assert backend(str(one)).fingerprint == backend(str(other), slots=9).fingerprint
    assert backend(str(one)).fingerprint != backend(str(one), context=9).fingerprint
    other.write_text("bb")
    assert backend(str(one)).fingerprint != backend(str(other)).fingerprint
    assert weights.DIGEST in backend().fingerprint


def test_runs_of_consecutive_seeds() -> None:
    assert consecutive([5, 6, 7, 9, 9, 10, 4], most=2) == [(5, 2), (7, 1), (9, 1), (9, 2), (4, 1)]
    assert consecutive([], most=2) == []
