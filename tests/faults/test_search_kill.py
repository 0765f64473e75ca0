"""A search that is killed at any moment and started again comes to the same, and its budget counts what was in doubt.

As in `test_kill`, the server kills the client itself, after so many requests: no clock is involved.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archc.runtime.journal import opened
from tests.faults.test_kill import Killer
from tests.servers import Server, serve

CONCURRENCY = 4
SPACE = """
model m = openai("m", base_url="{url}", concurrency={concurrency})
generate(m, n={{1 | 2 | 4}}, temperature={{0.5 | 1.0}}) -> critique(m, by=each)? -> fuse(m)? -> extract(number) -> vote
"""


@dataclass
class Place:
    """The files of one search."""

    folder: Path

    def write(self, server: Server) -> None:
        self.folder.mkdir()
        (self.folder / "space.arch").write_text(SPACE.format(url=server.url, concurrency=CONCURRENCY))
        lines = [json.dumps({"id": f"q{i}", "question": f"What is {i}?", "answer": str(i % 10)}) for i in range(24)]
        (self.folder / "q.jsonl").write_text("\n".join(lines) + "\n")

    async def start(self, killer: Killer) -> tuple[int, str]:
        """One start of the command, to its end; its exit code and what it said."""
        words = ["search", "space.arch", "--task", "q.jsonl", "--run", "found", "--journal", "j", "--trials", "8"]
        killer.client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "archc",
            *words,
            "--first",
            "4",
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "NO_PROXY": "127.0.0.1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await killer.client.communicate()
        assert killer.client.returncode is not None
        return killer.client.returncode, said.decode()

    def board(self) -> list[dict[str, Any]]:
        """The leaderboard without what depends on time, on ids, and on which trial bought what they share.

        A prompt is billed once to all that one request draws: who asks first for some of the samples pays for it.
        """
        trials = json.loads((self.folder / "found" / "leaderboard.json").read_text())["trials"]
        for trial in trials:
            trial["run_id"] = ""
            trial["cost"] = trial["cost"]["calls"]
            told = trial["figures"].items()
            trial["figures"] = {name: v for name, v in told if "seconds" not in name and "tokens" not in name}
        return trials  # type: ignore[no-any-return]

    def verdict(self) -> Any:
        """What was confirmed."""
        found = json.loads((self.folder / "found" / "summary.json").read_text())["confirmation"]
        return [{**one, "folder": ""} for one in found["confirmed"]]

    def spent(self) -> tuple[int, int]:
        """Calls that the journal has booked, those in doubt with them; and what the summary says."""
        with opened(self.folder / "j") as store:
            store.bury_the_dead()
            booked = store.spent("").calls
        return booked, json.loads((self.folder / "found" / "summary.json").read_text())["spent"]["calls"]


def digits(body: dict[str, Any]) -> list[str]:
    """A function of what is asked and of the seed."""
    asked = json.dumps([body["messages"], body["temperature"], body["max_tokens"]])
    seeds = range(body["seed"], body["seed"] + body.get("n", 1))
    return [f"The answer is {random.Random(f'{asked} {seed}').randrange(10)}." for seed in seeds]


async def killed(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kills a search so many times. How many requests were sent in all, and how many an undisturbed one sends."""
    rng, killer = random.Random(seed), Killer(replies=digits)
    calm, place = Place(folder / "calm"), Place(folder / "killed")
    async with serve(killer.script) as server:
        calm.write(server)
        place.write(server)
        code, said = await calm.start(killer)
        assert code == 0, said
        requests, killer.seen = killer.seen, 0
        for number in range(kills):
            killer.at = killer.seen + rng.randint(1, 2 + 2 * max(0, requests - killer.seen) // (kills - number))
            code, said = await place.start(killer)
            assert code in (-signal.SIGKILL, 0), said
        killer.at = None
        code, said = await place.start(killer)
        assert code == 0, said
    assert place.board() == calm.board()
    assert place.verdict() == calm.verdict()
    booked, told = place.spent()
    assert booked == told
    assert calm.spent()[0] <= booked <= calm.spent()[0] + kills * CONCURRENCY * 4  # at most 4 samples a request
    return killer.seen, requests


def test_a_search_killed_at_random_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    asyncio.run(killed(tmp_path, 3, seed=2))


if __name__ == "__main__":  # python -m tests.faults.test_search_kill KILLS SEED
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(killed(Path(folder), int(sys.argv[1]), int(sys.argv[2]))), "requests, undisturbed")
