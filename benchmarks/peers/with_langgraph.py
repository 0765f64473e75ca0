"""langgraph: a node for each stage, a `Send` for each of its calls, ChatOpenAI as the model."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from harness import measured, told
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from shapes import SHAPES

URL, SHAPE, QUESTIONS, AT_ONCE = told()
STAGES = SHAPES[SHAPE]


class State(TypedDict):
    question: str
    texts: Annotated[list[tuple[int, str]], operator.add]


async def main() -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    def sent(at: int) -> Any:
        def send(state: State) -> list[Send]:
            texts = [text for place, text in state.get("texts", []) if place == at - 1]
            return [Send(f"call{at}", {"prompt": prompt}) for prompt in STAGES[at].prompts(state["question"], texts)]

        return send

    def called(at: int) -> Any:
        model = ChatOpenAI(model="m", base_url=URL, api_key="EMPTY", max_tokens=STAGES[at].tokens, max_retries=0)

        async def call(state: dict[str, str]) -> dict[str, Any]:
            async with gate:
                return {"texts": [(at, (await model.ainvoke(state["prompt"])).content)]}

        return call

    graph = StateGraph(State)
    for at in range(len(STAGES)):
        graph.add_node(f"call{at}", called(at))
        graph.add_node(f"stage{at}", lambda state: {})
        if at:
            graph.add_edge(f"call{at - 1}", f"stage{at}")
        graph.add_conditional_edges(f"stage{at}", sent(at), [f"call{at}"])
    graph.add_edge(START, "stage0")
    graph.add_edge(f"call{len(STAGES) - 1}", END)
    app = graph.compile()

    async def answer(question: str) -> None:
        await app.ainvoke({"question": question, "texts": []})

    await measured(answer)


asyncio.run(main())
