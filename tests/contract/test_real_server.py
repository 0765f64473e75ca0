"""The `openai` backend against a real server: llama.cpp's own, over HTTP, with the embedded model."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import archc
from archc.backends.weights import embedded_weights

SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_parallel, params.n_ctx = sys.argv[1], 4, 4 * 1024
params.verbosity, params.warmup, params.cache_ram_mib, params.api_keys = 0, False, 0, ["of-the-test"]
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""

SPEC = """
models:
  m: {{backend: openai, model: smollm2, base_url: "{url}", api_key_env: ARCHC_TEST_KEY, retries: 0, concurrency: 4}}
pipeline:
  - generate: {{model: m, n: 3, max_tokens: 24, logprobs: true}}
  - rank: {{model: m, top_k: 2, max_tokens: 24, repair: false}}
  - score: {{model: m, max_tokens: 96, repair: false}}
  - select: {{by: score}}
"""

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    weights = asyncio.run(embedded_weights())
    command = [sys.executable, "-c", SERVER, str(weights)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip() + "/v1"
        finally:
            process.stdin.close()
            process.wait()


def test_samples_logprobs_and_structured_judgements(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHC_TEST_KEY", "of-the-test")
    plan = archc.compile(archc.Source("real", SPEC.format(url=url)))
    run = archc.run_sync(plan, "What is the capital of France?", journal=tmp_path / "journal")
    again = archc.run_sync(plan, "What is the capital of France?", journal=tmp_path / "journal")

    assert run.status == "ok"
    assert plan.cost.calls.contains(run.spent.calls)
    assert run.nodes["generate"].candidates == 3
    assert 0 < run.spent.completion <= 3 * 24 + 24 + 2 * 96
    assert run.candidates[0].logprob is not None
    assert run.candidates[0].logprob < 0
    assert [n for n in run.notes if n.get("note") == "degraded"] == []  # the ranking kept to its schema
    assert (again.spent.calls, again.candidates) == (0, run.candidates)


def test_a_wrong_key_is_said_with_what_to_do(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHC_TEST_KEY", "another")
    run = archc.run_sync(archc.compile(archc.Source("real", SPEC.format(url=url))), "Why?")

    assert run.status == "failed"
    assert run.error is not None
    assert "401" in run.error.headline
    assert "archc keys" in run.error.advice
    assert "another" not in run.error.headline
