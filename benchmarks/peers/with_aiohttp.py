"""Bare asyncio and aiohttp: stages of calls, a semaphore, no journal, no trace, no limits, no retries."""

from __future__ import annotations

import asyncio

import aiohttp
from harness import measured, told
from shapes import SHAPES

URL, SHAPE, QUESTIONS, AT_ONCE = told()


async def main() -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(prompt: str, tokens: int) -> str:
            messages = [{"role": "user", "content": prompt}]
            body = {"model": "m", "messages": messages, "temperature": 0.7, "max_tokens": tokens}
            async with gate, session.post(f"{URL}/chat/completions", json=body) as response:
                return str((await response.json())["choices"][0]["message"]["content"])

        async def answer(question: str) -> None:
            texts: list[str] = []
            for stage in SHAPES[SHAPE]:
                texts = await asyncio.gather(*(ask(p, stage.tokens) for p in stage.prompts(question, texts)))

        await measured(answer)


try:
    import uvloop
except ImportError:
    asyncio.run(main())
else:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
