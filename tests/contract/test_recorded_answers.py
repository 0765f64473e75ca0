"""The recorded backend: answers from a file, for the question and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archc import api
from archc.backends.recorded import Recorded
from archc.calls import CallError, FailureKind, Message, Purpose, Request, Sampling
from archc.diagnostics import RunError, SpecError
from archc.source import Source

QUESTION = "What is 2 + 2?"
POOL: list[Any] = [
    {"id": "q/1", "question": QUESTION, "answers": {"alpha": ["4", "four", "It is 4."], "beta": "5"}},
    {"id": "q/12", "question": "What is 2 + 2? And doubled?", "answers": {"alpha": ["8"], "beta": None}},
]


def written(folder: Path, records: list[Any], name: str = "pool.jsonl") -> str:
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return str(folder / name)


def model(file: str, name: str = "alpha", **options: str) -> Recorded:
    return Recorded(name, Recorded.Options(file=file, **options), lambda *_: None)


def asked(text: str = QUESTION, *seeds: int, question: str | None = None, schema: str | None = None) -> Request:
    purpose = Purpose("generate", "prompt", text if question is None else question)
    return Request((Message("user", text),), Sampling(), seeds or (0,), purpose, schema)


def texts(backend: Recorded, request: Request) -> list[str]:
    return [c.text for c in asyncio.run(backend.complete(request))]


def refused(backend: Recorded, request: Request) -> str:
    with pytest.raises(CallError) as told:
        asyncio.run(backend.complete(request))
    assert told.value.failed.kind is FailureKind.BAD_REQUEST
    return told.value.failed.reason


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ("generate: {model: r, logprobs: true}", "log-probabilities"),
        ("think: {model: r}", "replies that go on with what is begun"),
    ],
)
def test_what_was_not_recorded_is_refused_before_anything_runs(step: str, what: str) -> None:
    text = f"models: {{r: {{backend: recorded, model: alpha, file: pool.jsonl}}}}\npipeline:\n  - {step}\n"
    with pytest.raises(SpecError, match=f"needs {what}, which the backend `recorded` of `r` does not give"):
        api.compile(Source("s.yaml", text))


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.jsonl.gz"])
def test_samples_follow_each_other_and_all_come(tmp_path: Path, name: str) -> None:
    backend = model(written(tmp_path, POOL, name))

    assert texts(backend, asked(QUESTION, 7, 8, 9, 10)) == ["four", "It is 4.", "4", "four"]
    assert texts(model(written(tmp_path, POOL), "beta"), asked(QUESTION, 7, 8)) == ["5", "5"]


def test_the_question_is_found_within_a_longer_prompt(tmp_path: Path) -> None:
    backend = model(written(tmp_path, POOL))

    assert texts(backend, asked(f"{QUESTION}\n\nThink step by step."))[0] == "4"
    assert texts(backend, asked("What is 2 + 2? And doubled?\n\nThink."))[0] == "8"


def test_without_questions_the_id_in_the_text_counts(tmp_path: Path) -> None:
    backend = model(written(tmp_path, [{k: v for k, v in r.items() if k != "question"} for r in POOL]))

    assert texts(backend, asked("Item q/12: double it"))[0] == "8"
    assert "not in the pool" in refused(backend, asked("Item q/123"))


def test_questions_may_come_from_another_file(tmp_path: Path) -> None:
    pool = written(tmp_path, [{"models": ["alpha", "beta"]}, {"id": "q/1", "preds": "AB"}])
    data = written(tmp_path, [{"id": "q/1", "question": QUESTION}], "data.jsonl")

    assert texts(model(pool, "beta", answers="preds.{model}", questions=data), asked()) == ["B"]


def test_what_is_not_in_the_pool_is_said(tmp_path: Path) -> None:
    backend = model(written(tmp_path, POOL))

    assert "the question is not in the pool" in refused(backend, asked("What is 3 + 3?"))
    assert "nothing is recorded of `generate`" in refused(backend, asked(f"Judge: {QUESTION}", question=QUESTION))
    assert "nothing is recorded" in refused(backend, asked(schema="{}"))
    assert "no answer" in refused(model(written(tmp_path, POOL), answers="other.{model}"), asked())


def test_an_answer_that_was_none_is_empty(tmp_path: Path) -> None:
    assert texts(model(written(tmp_path, POOL), "beta"), asked("What is 2 + 2? And doubled?")) == [""]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"[1, 2]\n", "not every line"),
        (b"{\n", "no JSONL"),
        (b"\xff\xfe", "no JSONL"),
        (b"[" * 100_000, "no JSONL"),
    ],
)
def test_a_broken_pool_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "pool.jsonl").write_bytes(content)
    with pytest.raises(RunError, match=problem):
        asyncio.run(model(str(tmp_path / "pool.jsonl")).start())


def test_a_wrong_model_is_told_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no model `alpa`"):
        asyncio.run(model(written(tmp_path, POOL), "alpa").start())
    with pytest.raises(RunError, match="can't be used"):
        asyncio.run(model(str(tmp_path / "none.jsonl")).start())


def test_another_file_is_another_model(tmp_path: Path) -> None:
    one = model(written(tmp_path, POOL)).fingerprint
    other = model(written(tmp_path, POOL[:1], "other.jsonl")).fingerprint

    assert one != other
    assert one == model(written(tmp_path, POOL, "copy.jsonl")).fingerprint


# ---- real answers

DATA = Path(os.environ.get("ARCHC_DATA", Path(__file__).parent.parent.parent.parent / "shared" / "data"))
GSM = DATA / "oracle" / "zeroeval_gsm.jsonl"
VOTERS = ("Meta-Llama-3-8B-Instruct", "gemma-2-9b-it", "Qwen2-7B-Instruct")


@pytest.mark.skipif(not GSM.exists(), reason="the data is not here")
def test_a_vote_of_recorded_models_is_their_plurality() -> None:
    header, *records = [json.loads(line) for line in GSM.read_text(encoding="utf-8").splitlines()]
    at = [header["models"].index(name) for name in VOTERS]
    lines = [
        f'model m{i} = recorded("{name}", file="{GSM}", answers="models.{{model}}.0")' for i, name in enumerate(VOTERS)
    ]
    spec = "\n".join(lines) + "\n\n(generate(m0) & generate(m1) & generate(m2)) -> extract(number) -> vote\n"
    plan = api.compile(Source("vote.arch", spec, "arch"), environ={})
    whole = [r for r in records if all((r["models"][i][0] or "").isdecimal() for i in at)][:40]

    for record in whole:
        run = api.run_sync(plan, record["question"], journal=None)
        said = [record["models"][i][0] for i in at]
        top = max(Counter(said).values())
        assert run.answer == next(text for text in said if Counter(said)[text] == top)
