"""its-hub by its own algorithms: SelfConsistency, and BestOfN with its LLMJudge. It has no others of these shapes."""

from __future__ import annotations

import asyncio
import re

from harness import measured, told
from its_hub.core.algorithms.bon import BestOfN
from its_hub.core.algorithms.self_consistency import SelfConsistency
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
from its_hub.core.orchestrator import LMOrchestrator
from its_hub.core.reward_models.llm_judge import LLMJudge
from shapes import SHAPES

URL, SHAPE, QUESTIONS, AT_ONCE = told()


def last_number(text: str) -> str:
    return (re.findall(r"\d+", text) or [""])[-1]


async def main() -> None:
    first, *rest = SHAPES[SHAPE]
    model = OpenAICompatibleLanguageModel(URL, "EMPTY", "m", max_tokens=first.tokens)
    gate = LMOrchestrator(max_concurrency=AT_ONCE)
    if rest:
        judge = OpenAICompatibleLanguageModel(URL, "EMPTY", "m", max_tokens=rest[0].tokens)
        algorithm = BestOfN(LLMJudge(judge), orchestrator=gate)
    else:
        algorithm = SelfConsistency(last_number, orchestrator=gate)

    async def answer(question: str) -> None:
        await algorithm.ainfer(model, question, budget=first.calls)

    await measured(answer)


asyncio.run(main())
