"""Replay: a run told again from its journal alone, and journals that go to other machines and stay in order."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import apsw
import pytest

from archc import api
from archc.calls import CallError, FailureKind, Request
from archc.cli import main
from archc.diagnostics import RunError
from archc.runtime import upkeep
from archc.runtime.journal import opened
from archc.runtime.run import Run
from archc.source import Source
from tests.fakes import Scripted, plan_of, session, with_concurrency

SPEC = """
budget: {{calls: {calls}}}
models: {{m: {{backend: simulated, failure_rate: 0.3, retries: 0}}}}
pipeline:
  - generate: {{model: m, n: 6}}
  - extract: {{kind: number}}
  - until: {{condition: agreement >= 0.6, max: 6, do: [generate: {{model: m}}, extract: {{kind: number}}]}}
  - race:
      condition: count >= 1
      branches:
        - [critique: {{model: m}}, fuse: {{model: m, n: 2}}]
        - [generate: {{model: m, n: 3}}, extract: {{kind: number}}]
  - budget: {{calls: 2, do: [critique: {{model: m, by: each}}, fuse: {{model: m}}]}}
"""


def told(run: str, journal: Path) -> list[tuple[Run, bool | None]]:
    async def main() -> list[tuple[Run, bool | None]]:
        return [one async for one in api.replay(run, journal)]

    return asyncio.run(main())


def ran(text: str, journal: Path, questions: int = 6, parallel: bool = True) -> tuple[str, list[Run]]:
    async def main() -> tuple[str, list[Run]]:
        plan = api.compile(Source("spec.yaml", text))
        async with api.session(plan, journal=journal) as open_session:
            work = [open_session.answer(f"What is {i} + 1?", f"q{i}") for i in range(questions)]
            runs = await asyncio.gather(*work) if parallel else [await one for one in work]
            return open_session.run, list(runs)

    return asyncio.run(main())


@pytest.mark.parametrize("calls", [1000, 8])
def test_a_run_with_failures_losers_and_spent_budgets_is_told_again(calls: int, tmp_path: Path) -> None:
    run, runs = ran(SPEC.format(calls=calls), tmp_path / "j")
    again = told(run, tmp_path / "j")

    assert [is_same for _, is_same in again] == [True] * len(runs)
    by_id = {one.id: one for one in runs}
    for one, _ in again:
        assert (one.status, one.answer, one.candidates) == (
            by_id[one.id].status,
            by_id[one.id].answer,
            by_id[one.id].candidates,
        )
    assert {one.status for one in runs} >= ({"exhausted"} if calls == 8 else {"ok"})
    assert any(one.notes for one in runs)


def test_specs_that_use_others_and_variables_are_told_again_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part.yaml").write_text("params: {n: 1}\npipeline: [generate: {model: m, n: $n}]\n")
    text = "models: {m: {backend: simulated, model: '${WHICH:-a}'}}\n"
    text += "pipeline: [use: {spec: part.yaml, with: {n: !choice [2, 3]}}]\n"
    (tmp_path / "spec.yaml").write_text(text)
    monkeypatch.setenv("WHICH", "b")
    plan = api.compile(tmp_path / "spec.yaml", choices={"use.with.n": 3})

    async def main() -> str:
        async with api.session(plan, journal=tmp_path / "j", seed=5) as open_session:
            await open_session.answer("What is 1 + 1?")
            return open_session.run

    run = asyncio.run(main())
    monkeypatch.delenv("WHICH")
    (tmp_path / "part.yaml").unlink()
    (tmp_path / "spec.yaml").unlink()
    [(one, is_same)] = told(run[:5], tmp_path / "j")
    assert is_same
    assert len(one.candidates) == 3
    assert one.cached == 3


def test_where_keys_would_go_does_not_matter_where_none_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "models: {m: {backend: openai, model: m, base_url: 'https://far.example/v1', api_key_env: FAR_KEY}}\n"
    config = tmp_path / "config.toml"
    config.write_text('[keys]\n"far.example" = "FAR_KEY"\n')
    monkeypatch.setenv("ARCHC_CONFIG", str(config))
    monkeypatch.setenv("FAR_KEY", "k" * 20)
    plan = api.compile(Source("spec.yaml", f"{text}pipeline: [generate: {{model: m}}]"))

    async def main() -> str:
        async with session(plan, Scripted(), journal=tmp_path / "j") as one:
            await one.answer("q")
            return one.run

    run = asyncio.run(main())
    config.unlink()
    monkeypatch.delenv("FAR_KEY")
    assert [is_same for _, is_same in told(run, tmp_path / "j")] == [True]


def test_what_the_journal_has_lost_is_said(tmp_path: Path) -> None:
    run, _ = ran("models: {m: {backend: simulated}}\npipeline: [generate: {model: m, n: 2}]", tmp_path / "j", 1)
    connection = apsw.Connection(str(tmp_path / "j"))
    connection.execute("DELETE FROM samples")
    connection.close()
    [(one, is_same)] = told(run, tmp_path / "j")
    assert is_same is False
    assert one.error
    assert one.error.name == "not-recorded"


@pytest.mark.parametrize("run", ["", "zzzz"])
def test_a_run_that_is_not_there_is_said(run: str, tmp_path: Path) -> None:
    ran("models: {m: {backend: simulated}}\npipeline: [generate: {model: m}]", tmp_path / "j", 1)
    with pytest.raises(RunError, match="no run"):
        told(run, tmp_path / "j")


def test_a_journal_that_is_not_there_is_not_made_by_a_replay(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run"):
        told("abc", tmp_path / "j")
    assert not (tmp_path / "j").exists()


def test_a_failed_question_that_is_tried_again_is_told_as_it_went_then(tmp_path: Path) -> None:
    """The second start of a run buys what failed in the first."""
    refused = CallError(FailureKind.AUTH, "no key")
    plan = plan_of("- generate: {model: m, n: 2}", n=False)

    async def start(fails: bool) -> Run:
        def reply(request: Request, i: int) -> str | CallError:
            return refused if fails and request.seeds[0] % 2 else "fine"

        async with session(plan, Scripted(reply), journal=tmp_path / "j", name="same") as one:
            return await one.answer("q")

    first, second = asyncio.run(start(fails=True)), asyncio.run(start(fails=False))
    assert (len(first.candidates), len(second.candidates)) == (1, 2)
    with opened(tmp_path / "j") as store:
        [[run]] = store.rows("SELECT id FROM runs")
    [(one, is_same)] = told(run, tmp_path / "j")
    assert is_same
    assert one.candidates == second.candidates


def test_other_concurrency_tells_the_same(tmp_path: Path) -> None:
    """Which calls a budget had no room for depends on who came first; it is told as it was."""
    plan = with_concurrency(
        plan_of(
            "- generate: {model: m, n: 8}\n- critique: {model: m, by: each}\n- fuse: {model: m}",
            budget="calls: 12",
            n=False,
        ),
        3,
    )

    async def main() -> tuple[str, Run]:
        async with session(plan, Scripted(takes=lambda r: r.seeds[0] % 7 / 10), journal=tmp_path / "j") as one:
            return one.run, await one.answer("q")

    run, first = asyncio.run(main())
    assert first.status == "exhausted"
    [(again, is_same)] = told(run, tmp_path / "j")
    assert is_same
    assert again.candidates == first.candidates


# ---- journals on the move


def test_an_exported_journal_replays_elsewhere(tmp_path: Path) -> None:
    run, runs = ran(SPEC.format(calls=8), tmp_path / "j")
    with opened(tmp_path / "j") as here, opened(tmp_path / "k") as there:
        lines = [*upkeep.exported(here)]
        new = upkeep.imported(there, lines)
        assert new["runs"] == 1
        assert new["queries"] == 6
        assert new["samples"] == upkeep.stats(here)["samples"] == upkeep.stats(there)["samples"]
        assert set(upkeep.imported(there, lines).values()) == {0}
        assert [*upkeep.exported(there)][-new["samples"] :] == lines[-new["samples"] :]
    assert [is_same for _, is_same in told(run, tmp_path / "k")] == [True] * len(runs)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "no JSON",
        "{}",
        '{"sample": "zz"}',
        '{"sample": "00", "text": "x", "finish": "?", "usage": [0], "logprob": null, "model": "", "at": 0}',
        '{"run": "x"}',
        '{"failure": "00", "of": 1, "query": 2, "kind": 3}',
        '{"query": "q", "of": "r", "question": 5, "result": null}',
    ],
)
def test_nothing_is_taken_of_a_file_with_other_lines(line: str, tmp_path: Path) -> None:
    ran("models: {m: {backend: simulated}}\npipeline: [generate: {model: m}]", tmp_path / "j", 1)
    with opened(tmp_path / "j") as here, opened(tmp_path / "k") as there:
        lines = [*upkeep.exported(here)]
        with pytest.raises(ValueError, match="line"):
            upkeep.imported(there, [*lines, line])
        with pytest.raises(ValueError, match="line"):
            upkeep.imported(there, [line])
        assert upkeep.stats(there)["samples"] == 0


GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.jsonl"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_runs_of_earlier_releases_are_told_as_they_went(path: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "j") as store, path.open(encoding="utf-8") as lines:
        upkeep.imported(store, lines)
        runs = [id for [id] in store.rows("SELECT id FROM runs")]
    assert runs
    for run in runs:
        assert {is_same for _, is_same in told(run, tmp_path / "j")} == {True}


# ---- upkeep


def archc(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words])
    out = capsys.readouterr().out
    return int(ended.value.code or 0), json.loads(out) if "--json" in words and out.strip() else out


def test_a_journal_is_looked_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = ("--journal", str(tmp_path / "j"))
    run, _ = ran("models: {m: {backend: simulated}}\npipeline: [generate: {model: m, n: 3}]", tmp_path / "j", 2)
    connection = apsw.Connection(str(tmp_path / "j"))

    code, stats = archc(capsys, "cache", "stats", "--json", *journal)
    assert (code, stats["samples"], stats["attempts"]["ok"]["calls"]) == (0, 6, 6)
    assert stats["runs"] == [stats["runs"][0] | {"id": run, "ended": False, "queries": 2, "answered": 2}]
    assert "6 samples" in archc(capsys, "cache", "stats", *journal)[1]
    assert archc(capsys, "cache", "verify", *journal)[0] == 0
    assert archc(capsys, "cache", "gc", *journal)[1].startswith("removed: 0 samples")

    connection.execute("UPDATE samples SET crc = 0 WHERE key = (SELECT min(key) FROM samples)")
    code, health = archc(capsys, "cache", "verify", "--json", *journal)
    assert (code, health["samples"], len(health["damaged"])) == (1, 6, 1)
    assert archc(capsys, "cache", "gc", "--json", *journal)[1]["samples"] == 1
    assert archc(capsys, "cache", "verify", *journal)[0] == 0

    connection.execute("UPDATE attempts SET state = 'doubt', reason = 'timeout' WHERE id = 1")
    [doubt] = archc(capsys, "cache", "doubts", "--json", *journal)[1]
    assert (doubt["run"], doubt["node"], doubt["calls"], doubt["reason"]) == (run, "generate", 3, "timeout")
    connection.execute("UPDATE runs SET ended = 1, began = 1; UPDATE samples SET at = 1")
    connection.close()
    removed = archc(capsys, "cache", "gc", "--days", "1", "--json", *journal)[1]
    assert removed == {"samples": 5, "executions": 0, "attempts": 2, "failures": 0, "queries": 2, "runs": 1}
    code, _ = archc(capsys, "cache", "export", str(tmp_path / "e"), *journal)
    assert code == 0
    assert stat.S_IMODE((tmp_path / "e").stat().st_mode) == 0o600


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert archc(capsys, "cache", "stats", "--journal", str(tmp_path / "j"))[0] == 2
    assert not (tmp_path / "j").exists()


def test_who_listens_to_a_replay_hears_the_candidates_that_left_each_step(tmp_path: Path) -> None:
    run, runs = ran(SPEC.format(calls=1000), tmp_path / "j", questions=2)
    events: list[Any] = []

    async def listen() -> list[Run]:
        return [told async for told, _ in api.replay(run, tmp_path / "j", [events.append])]

    told = asyncio.run(listen())
    last = {event["query"]: event for event in events if event["event"] == "left" and "path" not in event}

    assert [one.digest for one in told] == [one.digest for one in runs]
    for one in told:
        assert [c["text"] for c in last[one.id]["candidates"]] == [c.text for c in one.candidates]
    assert {e["node"] for e in events if e["event"] == "left"} <= set(told[0].nodes)
    assert sum(e["calls"] for e in events if e["event"] == "cached") == sum(one.cached for one in told)


def test_a_recipe_from_before_a_pass_is_compiled_without_it() -> None:
    """It may ask what the journal does not have."""
    spec = Source(
        "old.yaml",
        "models: {m: {backend: simulated}}\npipeline:\n"
        "  - generate: {model: m, n: 8, batch: 2}\n  - extract: {kind: number}\n  - score: {model: m}\n  - vote\n",
    )
    recipe = dict(api.compile(spec).recipe or {})
    named = [step.name for step in api.recompile(recipe).steps]
    del recipe["passes"]

    assert "stop_early" in named
    assert [step.name for step in api.recompile(recipe).steps] == ["drop_dead"]
