"""What archc adds to a call: CPU time of this process per call, beside bare aiohttp doing the same calls.

    python -m benchmarks.overhead [questions]

Each question is one self-consistency of 8: a request per sample (`n: false`), so that both send the same requests.
archc has its journal and trace on; the bare client has neither, and does nothing with the replies but read them.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

import archc
from archc.api import run_loop
from archc.runtime.trace import JsonlFile
from benchmarks.server import server

SPEC = """
models:
  m: {{backend: openai, model: m, base_url: "{url}", n: {n}, concurrency: {limit}}}
pipeline:
  - generate: {{model: m, n: 8}}
  - extract: {{kind: number}}
  - vote
"""
LIMIT = 64
ROUNDS = 5


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def with_archc(url: str, questions: int, n: bool, folder: Path | None) -> float:
    plan = archc.compile(archc.Source("overhead", SPEC.format(url=url, n=str(n).lower(), limit=LIMIT)))
    trace = [JsonlFile(folder / "trace.jsonl")] if folder else []
    async with archc.session(plan, journal=folder / "journal" if folder else None, listeners=trace) as session:
        await session.answer("warm up")
        start = cpu()
        gate = asyncio.Semaphore(LIMIT)

        async def one(i: int) -> None:
            async with gate:
                run = await session.answer(f"What is {i} + 4?", str(i))
                assert run.answer == "7"

        await asyncio.gather(*(one(i) for i in range(questions)))
        spent = cpu() - start
    for file in trace:
        file.close()
    return spent


async def with_aiohttp(url: str, questions: int) -> float:
    gate = asyncio.Semaphore(LIMIT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(i: int, seed: int) -> None:
            messages = [{"role": "user", "content": f"What is {i} + 4?"}]
            body = {"model": "m", "messages": messages, "temperature": 0.7, "max_tokens": 1024, "seed": seed}
            async with gate, session.post(f"{url}/chat/completions", json=body) as response:
                assert "7" in json.loads(await response.read())["choices"][0]["message"]["content"]

        await one(0, 0)
        start = cpu()
        await asyncio.gather(*(one(i, seed) for i in range(questions) for seed in range(8)))
        return cpu() - start


def main() -> None:
    questions = int(sys.argv[1]) if len(sys.argv) > 1 else 250
    calls = questions * 8
    ways = {
        "bare aiohttp": lambda url, _: with_aiohttp(url, questions),
        "archc, nothing kept": lambda url, _: with_archc(url, questions, False, None),
        "archc, journal and trace": lambda url, folder: with_archc(url, questions, False, folder),
        "archc, journal and trace, n in one request": lambda url, folder: with_archc(url, questions, True, folder),
    }
    seen: dict[str, list[float]] = {way: [] for way in ways}
    with server(0.02) as url:
        for _ in range(ROUNDS):
            for way, work in ways.items():
                with TemporaryDirectory() as folder:
                    seen[way].append(run_loop(work(url, Path(folder))) / calls * 1e6)
    bare = statistics.median(seen["bare aiohttp"])
    print(f"CPU µs per call, median (least to most) of {ROUNDS} rounds of {calls} calls, {LIMIT} at once")
    for way, spent in seen.items():
        middle = statistics.median(spent)
        print(f"{way:<44} {middle:6.0f} ({min(spent):.0f} to {max(spent):.0f})  {middle / bare:5.2f} of bare aiohttp")


if __name__ == "__main__":
    main()
