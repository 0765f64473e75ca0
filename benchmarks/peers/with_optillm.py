"""optillm by its own approaches, without its proxy: each works through its calls one after the other in a thread."""

from __future__ import annotations

import asyncio
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from harness import measured, told
from openai import OpenAI
from shapes import SHAPES

URL, SHAPE, QUESTIONS, AT_ONCE = told()
# The package's own __init__ imports the server with all its engines, which no approach needs.
package = types.ModuleType("optillm")
package.__path__ = [str(Path(place) / "optillm") for place in sys.path if (Path(place) / "optillm").is_dir()]
package.conversation_logger = None  # type: ignore[attr-defined]
sys.modules["optillm"] = package
assert find_spec("optillm.bon")

from optillm.bon import best_of_n_sampling  # noqa: E402
from optillm.self_consistency import AdvancedSelfConsistency  # noqa: E402


async def main() -> None:
    client = OpenAI(base_url=URL, api_key="EMPTY")
    threads = ThreadPoolExecutor(min(AT_ONCE, max(QUESTIONS, 1)))
    first = SHAPES[SHAPE][0]
    told = {"max_tokens": first.tokens}

    def whole(question: str) -> None:
        if SHAPE == "B":
            AdvancedSelfConsistency(client, "m", first.calls, request_config=told).evaluate("", question)
        else:
            best_of_n_sampling("", question, client, "m", first.calls, request_config=told)

    async def answer(question: str) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, whole, question)

    await measured(answer)


asyncio.run(main())
