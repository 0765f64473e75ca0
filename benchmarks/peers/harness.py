"""What every adapter shares: runs as a program of its own, in the environment of its peer, and prints its figures.

    python with_X.py URL SHAPE QUESTIONS AT_ONCE

It imports nothing but the standard library, as the peers' environments have no archc.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

Answer = Callable[[str], Awaitable[Any]]
"""Answers one question."""


def told() -> tuple[str, str, int, int]:
    """The URL of the server, the shape's letter, how many questions, and how many calls at once."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def stats() -> dict[str, Any]:
    """What the server counts, and begins to count anew; a real one does not."""
    try:
        with urllib.request.urlopen(sys.argv[1].removesuffix("/v1") + "/stats") as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError:
        return {}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measured(answer: Answer, whole: Callable[[list[str]], Awaitable[Any]] | None = None) -> None:
    """Answers one question to warm up, then all of them at once, and prints the figures.

    `whole`: what answers many questions, where that is not each on its own.
    """
    questions = [f"What is {i} + 4?" for i in range(int(sys.argv[3]))]
    await (whole(["What is 0 + 7?"]) if whole else answer("What is 0 + 7?"))
    stats()
    began, used = time.perf_counter(), cpu()
    await (whole(questions) if whole else asyncio.gather(*map(answer, questions)))
    wall, used = time.perf_counter() - began, cpu() - used
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": used, "mib": most, **stats()}))
