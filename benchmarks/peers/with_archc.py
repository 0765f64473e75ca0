"""archc with its journal and trace on; `ARCHC_N=1` lets it ask for several samples in one request."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import measured, told

import archc
from archc.api import run_loop
from archc.runtime.trace import JsonlFile

URL, SHAPE, QUESTIONS, AT_ONCE = told()
STEPS = {
    "A": """
  - generate: {model: m, n: 8, max_tokens: 150}
  - critique: {model: m, max_tokens: 250}
  - rank: {model: m, top_k: 4, max_tokens: 50}
  - fuse: {model: m, max_tokens: 150}
  - verify: {model: m, max_tokens: 100}""",
    "B": """
  - generate: {model: m, n: 32, max_tokens: 150}
  - extract: {kind: number}
  - vote""",
    "C": """
  - generate: {model: m, n: 16, max_tokens: 150}
  - score: {model: m, max_tokens: 50}
  - select: {by: score}""",
    "D": """
  - generate: {model: m, n: 6, max_tokens: 150}
  - fuse: {model: m, n: 6, max_tokens: 150}
  - fuse: {model: m, n: 6, max_tokens: 150}
  - fuse: {model: m, max_tokens: 150}""",
}


async def main() -> None:
    n = str("ARCHC_N" in os.environ).lower()
    model = f"{{backend: openai, model: m, base_url: {URL!r}, concurrency: {AT_ONCE}, n: {n}}}"
    plan = archc.compile(archc.Source("peers.yaml", f"models: {{m: {model}}}\npipeline:{STEPS[SHAPE]}\n"))
    with TemporaryDirectory() as folder:
        trace = JsonlFile(Path(folder) / "trace.jsonl")
        async with archc.session(plan, journal=Path(folder) / "journal", listeners=[trace]) as session:

            async def answer(question: str) -> None:
                run = await session.answer(question, question)
                assert run.status == "ok"

            await measured(answer)
        trace.close()


run_loop(main())
