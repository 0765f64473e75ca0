"""One suite for every backend: what the runtime relies on holds for real servers and engines as for simulated ones.

vLLM needs an environment of its own (`make vllm-env`); `make test-vllm` runs this file in it. Without it these tests
are skipped, and say so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from archc.backends import probe
from archc.backends._openai_reply import Peer
from archc.backends._wire import Waits, Wire
from archc.backends.llamacpp import LlamaCpp
from archc.backends.openai import OpenAI
from archc.backends.simulated import Simulated
from archc.backends.vllm import VLLM
from archc.backends.weights import embedded_weights
from archc.calls import Backend, CallError, Completion, FailureKind, Finish, Message, Purpose, Request, Sampling, Usage
from archc.secret import Secret

ROOT = Path(__file__).parents[2]
VLLM_MODEL = Path(os.environ.get("ARCHC_VLLM_MODEL") or ROOT / ".venv-vllm" / "smollm2")
PATIENCE_S = 300

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]

LLAMA_SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_parallel, params.n_ctx = sys.argv[1], 4, 4 * 1024
params.verbosity, params.warmup, params.cache_ram_mib, params.endpoint_metrics = 0, False, 0, True
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def no_key(place: str, variable: str | None) -> None:
    return None


@dataclass
class Running:
    """A backend that is started, in an event loop of its own."""

    kind: str
    backend: Backend
    runner: asyncio.Runner
    url: str = ""

    def ask(self, *requests: Request) -> list[tuple[Completion, ...]]:
        async def all_() -> list[tuple[Completion, ...]]:
            return list(await asyncio.gather(*map(self.backend.complete, requests)))

        return self.runner.run(all_())

    async def metric(self, name: str) -> float:
        """One number of the server's metrics, over all its labels."""
        wire = Wire(Waits(30, 30, None, None), keep_alive=False)
        try:
            until = asyncio.get_running_loop().time() + 30
            at = probe.place_of(self.url, "/metrics")
            text = (await wire.post(Peer("", self.url, Secret()), at, None, until)).body.decode()
        finally:
            await wire.close()
        return sum(float(n) for n in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([\d.e+-]+)$", text, re.MULTILINE))

    async def until(self, holds: Callable[[float], bool], name: str) -> None:
        """Waits for a metric."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if holds(await self.metric(name)):
                    return


@contextmanager
def process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.terminate()


@contextmanager
def llama_server() -> Iterator[tuple[str, str]]:
    weights = asyncio.run(embedded_weights())
    with process([sys.executable, "-c", LLAMA_SERVER, str(weights)]) as running:
        assert running.stdout
        yield running.stdout.readline().strip() + "/v1", "smollm2"


@contextmanager
def vllm_server() -> Iterator[tuple[str, str]]:
    if given := os.environ.get("ARCHC_VLLM_URL"):
        yield given, "smollm2"
        return
    with started_vllm() as url:
        yield url, "smollm2"


@contextmanager
def started_vllm(*more: str) -> Iterator[str]:
    """The address of vLLM's server with the embedded model, as `smollm2`, started with more flags."""
    _needs_vllm()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"--served-model-name smollm2 --enforce-eager --max-model-len 1024 --port {port}".split()
    # On processors vLLM 0.32 dies of a request with a seed whose prompt it reads in pieces.
    flags += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192", *more]
    server = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(VLLM_MODEL), *flags]
    with process([*server, "--enable-prompt-tokens-details", "--uvicorn-log-level", "error"]) as running:
        url = f"http://127.0.0.1:{port}/v1"
        while not asyncio.run(probe.is_up(url)):
            with suppress(subprocess.TimeoutExpired):
                running.wait(timeout=0.5)
                pytest.fail("vLLM's server ended before it was up")
        yield url


def _needs_vllm() -> None:
    if importlib.util.find_spec("vllm") is None or not VLLM_MODEL.is_dir():
        pytest.skip("vLLM is NOT tested here: say `make vllm-env`, then `make test-vllm`")


@pytest.fixture(scope="module", params=["simulated", "llamacpp", "llama.cpp server", "vllm", "vllm server"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with contextmanager(_running)(request.param) as one:
        yield one


def _running(kind: str) -> Iterator[Running]:
    if kind.endswith("server"):
        with (vllm_server if kind.startswith("vllm") else llama_server)() as (url, model):
            yield from _started(kind, OpenAI(model, OpenAI.Options(base_url=url), no_key), url)
        return
    if kind == "vllm":
        _needs_vllm()
    made = {
        "simulated": lambda: Simulated("m", Simulated.Options(), no_key),
        "llamacpp": lambda: LlamaCpp("embedded", LlamaCpp.Options(slots=4, context=1024, threads=1), no_key),
        "vllm": lambda: VLLM(str(VLLM_MODEL), VLLM.Options(eager=True, max_len=1024), no_key),
    }
    yield from _started(kind, made[kind]())


def _started(kind: str, backend: Backend, url: str = "") -> Iterator[Running]:
    with asyncio.Runner() as runner:
        runner.run(backend.start())
        try:
            yield Running(kind, backend, runner, url)
        finally:
            runner.run(backend.close())


def asked(*seeds: int, text: str = "Name a colour.", schema: str | None = None, **sampling: Any) -> Request:
    drawn = Sampling(**{"max_tokens": 8, "temperature": 1.0, **sampling})
    return Request((Message("user", text),), drawn, seeds, Purpose("generate", "prompt", text), schema, logprobs=True)


def only(drawn: list[tuple[Completion, ...]]) -> Completion:
    ((one,),) = drawn
    return one


def test_several_samples_of_one_request_are_those_of_several_requests(running: Running) -> None:
    # vLLM's arithmetic depends a little on what is decoded together, and so do its longer texts
    length = 2 if running.kind.startswith("vllm") else 8
    requests = [asked(*seeds, max_tokens=length) for seeds in ((5, 6, 7), (5,), (6,), (7,))]
    together, *alone = running.ask(*requests)
    assert [one.text for one in together] == [one.text for (one,) in alone]
    assert len({one.text for one in together}) > 1 or running.kind == "simulated"


def test_a_seed_gives_its_text_again(running: Running) -> None:
    first, again = running.ask(asked(11)), running.ask(asked(11))
    assert only(first).text == only(again).text


def test_usage_adds_up_and_the_prompt_of_several_samples_is_read_once(running: Running) -> None:
    story = {"text": "Tell me a long story about a fox.", "max_tokens": 4}
    (several,) = running.ask(asked(1, 2, 3, **story))
    alone = only(running.ask(asked(1, **story)))
    total = sum((one.usage for one in several), Usage())
    # llama.cpp's server counts the first of several only, so that the others are estimated
    assert total.completion == 12 if running.kind != "llama.cpp server" else 4 < total.completion <= 12
    assert 0 < total.prompt - total.cached <= alone.usage.prompt


def test_the_likeliest_text_may_be_asked_for_several_times(running: Running) -> None:
    (several,) = running.ask(asked(1, 2, 3, temperature=0.0))
    alone = only(running.ask(asked(9, temperature=0.0)))
    if running.kind != "simulated":  # its world has no likeliest text
        assert {one.text for one in several} == {alone.text}
    assert running.backend.able.n  # and nothing is concluded from that
    (drawn,) = running.ask(asked(1, 2, 3))
    assert len(drawn) == 3


def test_answers_have_log_probabilities(running: Running) -> None:
    (drawn,) = running.ask(asked(1, 2))
    assert all(one.logprob is not None and -20 < one.logprob <= 0 for one in drawn)


def test_the_likelier_of_two_labels_is_told_with_its_share(running: Running) -> None:
    def labelled(text: str, labels: tuple[str, ...] = ("yes", "no")) -> Completion:
        request = asked(1, text=text, temperature=0.0, max_tokens=1)
        return only(running.ask(replace(request, logprobs=False, labels=labels)))

    told = labelled("Is the sky blue on a clear day? Reply with one word, yes or no.")
    turned = labelled("Is the sky blue on a clear day? Reply with one word, yes or no.", ("no", "yes"))
    assert told.text in ("yes", "no")
    assert told.logprob is not None
    assert math.log(0.5) <= told.logprob <= 0
    assert told.usage.completion == 1
    if running.kind != "simulated":  # whose world goes by the order of labels
        assert (turned.text, turned.logprob) == (told.text, pytest.approx(told.logprob, abs=0.1))
        assert labelled("Name a colour.", ("qqq", "zzz")).logprob is None


def test_a_text_ends_where_it_must(running: Running) -> None:
    cut = only(running.ask(asked(1, text="Tell me a long story about a fox.", max_tokens=5)))
    assert cut.finish is Finish.LENGTH
    assert cut.usage.completion == 5
    whole = only(running.ask(asked(1, temperature=0.0, text="Count: 1, 2, 3, 4, 5, 6, 7, 8", max_tokens=24)))
    stop = next(word for word in whole.text.split()[1:] if word.strip())
    stopped = only(
        running.ask(asked(1, temperature=0.0, text="Count: 1, 2, 3, 4, 5, 6, 7, 8", max_tokens=24, stop=(stop,)))
    )
    assert stop not in stopped.text
    assert stopped.finish is Finish.STOP


def test_a_reply_that_is_begun_is_gone_on_with(running: Running) -> None:
    text = "Write the numbers from 1 to 20, with commas between them."
    whole = only(running.ask(asked(1, text=text, temperature=0.0, max_tokens=24))).text
    if running.kind == "simulated":
        pytest.skip("its world knows no beginnings")
    at = whole.index(" ", len(whole) // 2)  # at a blank, where no token is cut
    begun = asked(1, text=text, temperature=0.0, max_tokens=8)
    begun = replace(begun, messages=(*begun.messages, Message("assistant", whole[:at])))
    assert whole[at:].startswith(only(running.ask(begun)).text[:6])


SCHEMA = (
    '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}'
)


def test_a_schema_is_kept_to(running: Running) -> None:
    if running.kind == "simulated":
        pytest.skip("it writes what its world says, not what a schema says")
    text = 'How many days has a week? Answer as {"n": NUMBER}.'
    drawn = only(running.ask(asked(3, text=text, schema=SCHEMA, max_tokens=32, temperature=0.2)))
    assert isinstance(json.loads(drawn.text)["n"], int)


def test_many_at_once_are_all_answered(running: Running) -> None:
    drawn = running.ask(*(asked(i, text=f"Name thing number {i}.", max_tokens=4) for i in range(16)))
    assert len(drawn) == 16


def test_what_is_cancelled_leaves_room_for_others(running: Running) -> None:
    if running.kind == "simulated":
        pytest.skip("it answers at once")

    async def go() -> None:
        long = asked(1, text="Count from 1 to 1000, one number on each line.", max_tokens=600)
        call = asyncio.ensure_future(running.backend.complete(long))
        if running.url:
            busy = probe.recall(running.url, "smollm2")
            assert busy
            name = busy.dialect.running
            await running.until(lambda number: number >= 1, name)
        else:
            await asyncio.wait({call}, timeout=0.5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        if running.url:
            await running.until(lambda number: number == 0, name)
        assert await asyncio.wait_for(running.backend.complete(asked(2)), PATIENCE_S)

    running.runner.run(go())


def test_a_prompt_that_is_too_long_is_said_so(running: Running) -> None:
    if running.kind == "simulated":
        pytest.skip("its context has no end")
    with pytest.raises(CallError) as caught:
        running.ask(asked(1, text="word " * 4000))
    assert caught.value.failed.kind is FailureKind.CONTEXT_LENGTH
    assert not caught.value.billed
    assert only(running.ask(asked(1)))


def test_a_prompt_that_was_read_before_is_told(running: Running) -> None:
    if running.kind == "simulated":
        pytest.skip("it has no cache")
    text = "The quick brown fox jumps over the lazy dog. " * 12
    running.ask(asked(1, text=text + "Why?", max_tokens=1))
    again = only(running.ask(asked(1, text=text + "How?", max_tokens=1)))
    assert 0 < again.usage.cached < again.usage.prompt
