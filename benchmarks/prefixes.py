"""What a server's prefix cache saves of an architecture's prompts: in archc's order, and with samples in one request.

    python -m benchmarks.prefixes URL MODEL [--candidates N] [--questions N] [--words N]

A question about a text of so many words is answered N times, and each answer is scored by a judge: 2 N calls. Three
ways, each with texts of its own, so that none finds what another left in the cache: one request for each sample with
prompts that begin with what differs, as scripts write them; one request for each sample with prompts in archc's order
(instructions, question, candidate); the same with `n` samples in one request. Computed are the prompt tokens that the
server did not find in its cache: told by its usage and, where it has one, by its metric. A server of vLLM is started
with `--enable-prompt-tokens-details` for that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archc import api
from archc.backends import probe
from archc.backends._openai_reply import Peer
from archc.backends._wire import Waits, Wire
from archc.ops.score import Score
from archc.runtime.trace import Event
from archc.secret import Secret
from archc.source import Source

WORDS = ("river", "stone", "market", "letter", "winter", "garden", "engine", "harbour", "window", "mirror", "candle")


@dataclass(frozen=True)
class Way:
    """How the calls of the same architecture are made."""

    name: str
    n: bool
    differs_first: bool = False


WAYS = (
    Way("single calls, what differs first", n=False, differs_first=True),
    Way("single calls, archc's order", n=False),
    Way("`n` in one request, archc's order", n=True),
)


def spec(way: Way, url: str, model: str, candidates: int) -> str:
    """Best of n with a judge."""
    told, _, rest = Score.templates()["prompt"].user.partition("Question:\n{question}\n\n{candidate}\n\n")
    assert rest, "the prompt of `score` has another form"
    order = f"{{candidate}}\n\nQuestion:\n{{question}}\n\n{told}{rest}"
    judge = f", prompt: {json.dumps(order)}" if way.differs_first else ""
    return f"""
models: {{m: {{backend: openai, model: "{model}", base_url: "{url}", n: {str(way.n).lower()}, timeout: 3600}}}}
pipeline:
  - generate: {{model: m, n: {candidates}, max_tokens: 32, temperature: 1.0}}
  - score: {{model: m, max_tokens: 24, repair: false{judge}}}
  - select: {{by: score}}
"""


def question(way: int, number: int, words: int) -> str:
    """A text that no other way and number has, and what is asked about it."""
    rng = random.Random(f"{way} {number} {words}")
    return f"{' '.join(rng.choices(WORDS, k=words))}.\n\nWhich word comes most often in this text?"


class Used:
    """A listener that adds up what servers told."""

    def __init__(self) -> None:
        self.calls = self.prompt = self.cached = 0

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event["event"] == "call":
            self.calls += event["calls"]
            self.prompt += event["prompt_tokens"]
            self.cached += event.get("cached_tokens", 0)


async def hits(url: str, model: str) -> float | None:
    """What the server's own metric counts, if it has one."""
    known = probe.recall(url, model)
    if not known or not known.dialect.cache_hits:
        return None
    wire = Wire(Waits(30, 30, None, None), keep_alive=False)
    until = asyncio.get_running_loop().time() + 30
    text = (await wire.post(Peer("", url, Secret()), probe.place_of(url, "/metrics"), None, until)).body.decode()
    await wire.close()
    found = re.findall(rf"^{re.escape(known.dialect.cache_hits)}(?:{{[^}}]*}})? ([\d.e+-]+)$", text, re.MULTILINE)
    return sum(map(float, found))


async def measured(at: int, given: Any) -> tuple[Used, float | None]:
    used = Used()
    plan = api.compile(Source("best-of-n.yaml", spec(WAYS[at], given.url, given.model, given.candidates)))
    with tempfile.TemporaryDirectory() as folder:
        async with api.session(plan, listeners=(used,), journal=Path(folder) / "journal") as session:
            await session.answer("Hello", "warm")  # so that what the server publishes is known
            used.calls = used.prompt = used.cached = 0
            before = await hits(given.url, given.model)
            for number in range(given.questions):
                await session.answer(question(at, number, given.words), str(number))
            after = await hits(given.url, given.model)
    return used, None if before is None or after is None else after - before


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("url")
    reader.add_argument("model")
    reader.add_argument("--candidates", type=int, default=16)
    reader.add_argument("--questions", type=int, default=4)
    reader.add_argument("--words", type=int, default=320)
    given = reader.parse_args()
    print("| | calls | tokens of all prompts | computed | hit rate | of the first way | hits by the metric |")
    print("|---|---|---|---|---|---|---|")
    first = 0.0
    for at, way in enumerate(WAYS):
        used, metric = asyncio.run(measured(at, given))
        computed = used.prompt - used.cached
        first = first or computed
        share = (
            f"{used.cached / used.prompt:.0%} | {computed / first:.2f} | {'-' if metric is None else f'{metric:,.0f}'}"
        )
        print(f"| {way.name} | {used.calls} | {used.prompt:,} | {computed:,} | {share} |", flush=True)


if __name__ == "__main__":
    main()
