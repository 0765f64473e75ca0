"""A server for benchmarks, in a process of its own: answers every op of archc after a constant delay.

python -m benchmarks.server 0.2        prints its URL, serves until its input ends
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.servers import serve

ANSWER = "It is reasoned step by step, and at the end the answer is 7. " * 4


def reply(body: dict[str, Any]) -> str:
    """A readable judgement where the request asks for one, else a text."""
    wanted = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
    if "ranking" in wanted:
        return json.dumps({"ranking": list(range(wanted["ranking"]["maxItems"], 0, -1))})
    if "critiques" in wanted:
        ids = range(1, wanted["critiques"]["minItems"] + 1)
        return json.dumps({"critiques": [{"id": i, "strengths": "clear", "weaknesses": "long"} for i in ids]})
    if "verdict" in wanted:
        return json.dumps({"explanation": "it holds", "verdict": "correct"})
    if "score" in wanted:
        return json.dumps({"explanation": "good", "score": 8})
    return ANSWER


@contextmanager
def server(delay: float) -> Iterator[str]:
    """Runs the server; gives its base URL."""
    command = [sys.executable, "-m", "benchmarks.server", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


async def _main(delay: float) -> None:
    async with serve(reply, delay=delay) as running:
        print(running.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1])))
