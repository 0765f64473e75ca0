"""dspy: a Predict for each role, called side by side by `acall`; its cache is off, as every sample must be its own."""

from __future__ import annotations

import asyncio

import dspy
from harness import measured, told
from shapes import SHAPES

URL, SHAPE, QUESTIONS, AT_ONCE = told()


async def main() -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    models = {
        stage.tokens: dspy.LM("openai/m", api_base=URL, api_key="EMPTY", max_tokens=stage.tokens, cache=False)
        for stage in SHAPES[SHAPE]
    }
    dspy.configure(lm=next(iter(models.values())), adapter=dspy.ChatAdapter(use_json_adapter_fallback=False))
    predict = dspy.Predict("question -> answer")

    async def ask(prompt: str, tokens: int) -> str:
        async with gate:
            return str((await predict.acall(question=prompt, lm=models[tokens])).answer)

    async def answer(question: str) -> None:
        texts: list[str] = []
        for stage in SHAPES[SHAPE]:
            texts = await asyncio.gather(*(ask(p, stage.tokens) for p in stage.prompts(question, texts)))

    await measured(answer)


asyncio.run(main())
