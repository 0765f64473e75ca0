"""inspect-ai: a solver that makes the calls of each stage at once; questions are the samples of a task."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory
from typing import Any

from harness import measured, told
from inspect_ai import Task, eval_async
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import solver
from shapes import SHAPES

URL, SHAPE, QUESTIONS, AT_ONCE = told()


@solver
def stages() -> Any:
    async def solve(state: Any, generate: Any) -> Any:
        model = get_model()
        texts: list[str] = []
        for stage in SHAPES[SHAPE]:
            config = GenerateConfig(max_tokens=stage.tokens)
            prompts = stage.prompts(state.input_text, texts)
            drawn = await asyncio.gather(*(model.generate(prompt, config=config) for prompt in prompts))
            texts = [one.completion for one in drawn]
        return state

    return solve


async def main() -> None:
    model = get_model(
        "openai/m", base_url=URL, api_key="EMPTY", responses_api=False, config=GenerateConfig(max_connections=AT_ONCE)
    )
    with TemporaryDirectory() as folder:

        async def whole(questions: list[str]) -> None:
            task = Task(dataset=[Sample(input=question) for question in questions], solver=stages())
            [log] = await eval_async(
                task, model=model, log_dir=folder, max_samples=len(questions), max_connections=AT_ONCE
            )
            assert log.status == "success", log.error

        await measured(lambda question: whole([question]), whole)


asyncio.run(main())
