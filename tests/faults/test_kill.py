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
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from archc.runtime import upkeep
from archc.runtime.journal import opened
from tests.servers import Hang, Server, serve

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
    hangs: bool = True
    """Whether nothing is answered from then on."""
    client: asyncio.subprocess.Process | None = None
    replies: Callable[[dict[str, Any]], list[str]] = replies
    seen: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def script(self, body: dict[str, Any]) -> list[str] | Hang:
        self.seen += 1
        asked = json.dumps([body["messages"], body.get("seed")])
        self.asked[asked] = self.asked.get(asked, 0) + 1
        if self.at is not None and self.seen >= self.at:
            if self.client and self.client.returncode is None and self.seen == self.at:
                self.client.send_signal(self.signal)
            if self.hangs:
                return Hang()
        return self.replies(body)


@dataclass
class Place:
    """The files of one batch."""

    folder: Path
    questions: int = 10

    def write(self, server: Server) -> None:
        self.folder.mkdir()
        (self.folder / "spec.yaml").write_text(SPEC.format(url=server.url, concurrency=CONCURRENCY))
        questions = [json.dumps({"id": f"q{i}", "question": f"What is {i} + 1?"}) for i in range(self.questions)]
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

    def doubts(self) -> int:
        """Attempts that were under way at a kill, as the journal lists them."""
        with opened(self.folder / "j") as store:
            store.bury_the_dead()
            return len(upkeep.doubts(store))

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
async def scene(folder: Path, questions: int = 10) -> AsyncIterator[tuple[Killer, Place, Answers, int]]:
    """A place to kill in, and what an undisturbed batch comes to on the same server: answers and number of requests."""
    killer, calm, place = Killer(), Place(folder / "calm", questions), Place(folder / "killed", questions)
    async with serve(killer.script) as server:
        calm.write(server)
        place.write(server)
        code, said = await once(calm, killer)
        assert code == 0, said
        requests, killer.seen, killer.asked = killer.seen, 0, {}
        yield killer, place, calm.answers(), requests


async def killed(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Each start is killed after some more requests, or at a random instant of its own beginning, then the next goes on
    with the same files. How many requests were sent more than once, and how many attempts are in doubt.
    """
    rng = random.Random(seed)
    async with scene(folder, max(10, kills // 3)) as (killer, place, answers, requests):
        for number in range(kills):
            if number % 4 == 3:
                killer.at = None
                killer.client = await place.start()
                await asyncio.sleep(rng.uniform(0.0, 0.8))  # any instant will do: opening, burying, reading
                if killer.client.returncode is None:
                    killer.client.kill()
                await killer.client.communicate()
                continue
            killer.at = killer.seen + rng.randint(1, 2 + max(0, requests - killer.seen) // (kills - number))
            code, said = await once(place, killer)
            assert code in (-signal.SIGKILL, 0), said
        killer.at = None
        assert (await once(place, killer))[0] == 0
        finished = killer.seen
        assert (await once(place, killer))[0] == 0
        assert killer.seen == finished  # and then there is nothing left to do
        assert place.answers() == answers
        assert len(killer.asked) == requests
        again, doubts = killer.seen - requests, place.doubts()
        assert again <= doubts <= kills * CONCURRENCY
        return again, doubts


def test_a_batch_killed_at_25_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    asyncio.run(killed(tmp_path, 25, seed=8))


def test_ctrl_c_brings_what_is_under_way_to_its_end_and_the_same_command_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as (killer, place, answers, requests):
            killer.at, killer.signal, killer.hangs = requests // 2, signal.SIGINT, False
            code, said = await once(place, killer)
            assert code == 130, said
            assert "Traceback" not in said
            partial = place.answers()
            assert 0 < len(partial) < place.questions
            assert all(answers[id] == given for id, given in partial.items())
            assert place.doubts() == 0
            killer.at = None
            code, said = await once(place, killer)
            assert code == 0, said
            assert f"{place.questions - len(partial)} answered, {len(partial)} had been before" in said
            assert place.answers() == answers
            assert killer.seen == requests

    asyncio.run(main())


def test_ctrl_c_twice_leaves_whole_files_and_what_was_under_way_in_doubt(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as (killer, place, answers, requests):
            killer.at, killer.signal = requests // 2, signal.SIGINT
            killer.client = await place.start()
            assert killer.client.stderr
            said = ""
            async for line in killer.client.stderr:
                said += line.decode()
                if b"stopping" in line:
                    killer.client.send_signal(signal.SIGINT)
            assert await killer.client.wait() == 130, said
            assert "Traceback" not in said
            partial = place.answers()
            assert 0 < len(partial) < place.questions
            assert 0 < place.doubts() <= CONCURRENCY
            killer.at = None
            code, said = await once(place, killer)
            assert code == 0, said
            assert place.answers() == answers
            assert killer.seen <= requests + place.doubts()

    asyncio.run(main())


if __name__ == "__main__":  # python -m tests.faults.test_kill KILLS SEED
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(killed(Path(folder), int(sys.argv[1]), int(sys.argv[2]))), "sent again, in doubt")
