"""A batch that is killed at any moment and started again ends as if nothing had happened, and pays for nothing twice.

The server is asked by a real `archc run`, and kills it itself after so many requests: no clock is involved.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Hang, Server, serve

QUESTIONS = 10
CONCURRENCY = 4
SPEC = """
name: killed
models:
  m: {{backend: openai, model: m, base_url: "{url}", concurrency: {concurrency}, options_n}}
pipeline:
  - generate: {{model: m, n: 3}}
  - critique: {{model: m, by: each}}
  - fuse: {{model: m}}
"""


def reply(body: dict[str, Any]) -> str:
    """A function of what is asked and nothing else."""
    asked = json.dumps([body["messages"], body.get("seed"), body["temperature"], body["max_tokens"]], sort_keys=True)
    return f"the answer {sha256(asked.encode()).hexdigest()[:12]}"


@dataclass
class Killer:
    """Sends a signal to the client when so many requests have come."""

    at: int | None = None
    signal: int = signal.SIGKILL
    client: asyncio.subprocess.Process | None = None
    seen: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def script(self, body: dict[str, Any]) -> str | Hang:
        self.seen += 1
        asked = json.dumps([body["messages"], body.get("seed")])
        self.asked[asked] = self.asked.get(asked, 0) + 1
        if self.at is not None and self.seen >= self.at:
            if self.client and self.client.returncode is None and self.seen == self.at:
                self.client.send_signal(self.signal)
            return Hang()
        return reply(body)


@dataclass
class Place:
    """The files of one batch."""

    folder: Path

    def write(self, server: Server) -> None:
        spec = SPEC.format(url=server.url, concurrency=CONCURRENCY).replace("options_n", "n: false")
        (self.folder / "spec.yaml").write_text(spec)
        questions = [json.dumps({"id": f"q{i}", "question": f"What is {i} + {i}?"}) for i in range(QUESTIONS)]
        (self.folder / "q.jsonl").write_text("\n".join(questions) + "\n")

    async def start(self) -> asyncio.subprocess.Process:
        words = ["run", "spec.yaml", "--input", "q.jsonl", "--output", "a.jsonl", "--journal", "j", "--parallel", "3"]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "archc",
            *words,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "NO_PROXY": "127.0.0.1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )

    def answers(self) -> dict[str, tuple[str, list[str]]]:
        """By id; each id once."""
        records = [json.loads(line) for line in (self.folder / "a.jsonl").read_bytes().splitlines()]
        assert len(records) == len({record["id"] for record in records})
        return {r["id"]: (r["answer"], [c["text"] for c in r["candidates"]]) for r in records}


async def once(place: Place, killer: Killer) -> tuple[int, str]:
    """One start of the command, to its end; its exit code and what it said."""
    killer.client = await place.start()
    _, said = await killer.client.communicate()
    assert killer.client.returncode is not None
    return killer.client.returncode, said.decode()


async def undisturbed(folder: Path) -> tuple[dict[str, tuple[str, list[str]]], int]:
    killer, place = Killer(), Place(folder)
    async with serve(killer.script) as server:
        place.write(server)
        code, said = await once(place, killer)
        assert code == 0, said
    return place.answers(), killer.seen


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, tuple[str, list[str]]], int]]:
    yield asyncio.run(undisturbed(tmp_path_factory.mktemp("undisturbed")))


def test_a_batch_killed_at_eight_moments_ends_as_if_nothing_had_happened(
    tmp_path: Path, expected: tuple[dict[str, tuple[str, list[str]]], int]
) -> None:
    """Eight batches in a row on one journal and one output: each start is killed after so many more requests."""
    answers, requests = expected
    rng = random.Random(8)
    kills = 8

    async def main() -> None:
        killer, place = Killer(), Place(tmp_path)
        async with serve(killer.script) as server:
            place.write(server)
            for _ in range(kills):
                killer.at = killer.seen + rng.randint(1, 2 + (requests - killer.seen) // 6)
                code, said = await once(place, killer)
                assert code == -signal.SIGKILL, said
            killer.at = None
            assert (await once(place, killer))[0] == 0
            finished = killer.seen
            assert (await once(place, killer))[0] == 0
            assert killer.seen == finished  # and then there is nothing left to do
        assert place.answers() == answers
        assert killer.seen <= requests + kills * CONCURRENCY
        assert len(killer.asked) == requests

    asyncio.run(main())


def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(
    tmp_path: Path, expected: tuple[dict[str, tuple[str, list[str]]], int]
) -> None:
    answers, requests = expected

    async def main() -> None:
        killer, place = Killer(at=requests // 2, signal=signal.SIGINT), Place(tmp_path)
        async with serve(killer.script) as server:
            place.write(server)
            code, said = await once(place, killer)
            assert code == 130, said
            assert "the same command goes on from there" in said
            assert "Traceback" not in said
            await server.until(lambda s: s.in_flight == 0)
            partial = place.answers()
            assert 0 < len(partial) < QUESTIONS
            assert all(answers[id] == given for id, given in partial.items())
            killer.at = None
            code, said = await once(place, killer)
            assert code == 0, said
            assert f"{QUESTIONS - len(partial)} answered, {len(partial)} had been before" in said
        assert place.answers() == answers
        assert killer.seen <= requests + CONCURRENCY

    asyncio.run(main())
