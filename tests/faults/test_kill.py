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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.servers import Hang, Server, serve

QUESTIONS = 10
CONCURRENCY = 4
SPEC = """
name: killed
models:
  m: {{backend: openai, model: m, base_url: "{url}", concurrency: {concurrency}}}
pipeline:
  - generate: {{model: m, n: 3}}
  - critique: {{model: m, by: each}}
  - fuse: {{model: m}}
"""


def replies(body: dict[str, Any]) -> list[str]:
    """A function of what is asked and nothing else; the seed counts on from completion to completion."""
    asked = json.dumps([body["messages"], body["temperature"], body["max_tokens"]])
    seeds = range(body["seed"], body["seed"] + body.get("n", 1))
    return [f"the answer {sha256(f'{asked} {seed}'.encode()).hexdigest()[:12]}" for seed in seeds]


Answers = dict[str, tuple[str, list[str]]]


def _heeds_ctrl_c() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and tests hand that down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Killer:
    """Sends a signal to the client when so many requests have come."""

    at: int | None = None
    signal: int = signal.SIGKILL
    client: asyncio.subprocess.Process | None = None
    seen: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def script(self, body: dict[str, Any]) -> list[str] | Hang:
        self.seen += 1
        asked = json.dumps([body["messages"], body.get("seed")])
        self.asked[asked] = self.asked.get(asked, 0) + 1
        if self.at is not None and self.seen >= self.at:
            if self.client and self.client.returncode is None and self.seen == self.at:
                self.client.send_signal(self.signal)
            return Hang()
        return replies(body)


@dataclass
class Place:
    """The files of one batch."""

    folder: Path

    def write(self, server: Server) -> None:
        self.folder.mkdir()
        (self.folder / "spec.yaml").write_text(SPEC.format(url=server.url, concurrency=CONCURRENCY))
        questions = [json.dumps({"id": f"q{i}", "question": f"What is {i} + 1?"}) for i in range(QUESTIONS)]
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
            preexec_fn=_heeds_ctrl_c,
        )

    def answers(self) -> Answers:
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


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[tuple[Killer, Place, Answers, int]]:
    """A place to kill in, and what an undisturbed batch comes to on the same server: answers and number of requests."""
    killer, calm, place = Killer(), Place(folder / "calm"), Place(folder / "killed")
    async with serve(killer.script) as server:
        calm.write(server)
        place.write(server)
        code, said = await once(calm, killer)
        assert code == 0, said
        requests, killer.seen, killer.asked = killer.seen, 0, {}
        yield killer, place, calm.answers(), requests


def test_a_batch_killed_at_eight_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Each start is killed after some more requests, then the next goes on with the same files."""
    rng, kills = random.Random(8), 8

    async def main() -> None:
        async with scene(tmp_path) as (killer, place, answers, requests):
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
            assert requests < killer.seen <= requests + kills * CONCURRENCY
            assert len(killer.asked) == requests

    asyncio.run(main())


def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as (killer, place, answers, requests):
            killer.at, killer.signal = requests // 2, signal.SIGINT
            code, said = await once(place, killer)
            assert code == 130, said
            assert "Traceback" not in said
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
