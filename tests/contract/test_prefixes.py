"""Prompts begin with what calls share, where a cache finds it: instructions, the question, then a candidate."""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

import pytest

from archc import ops
from archc.calls import Request
from tests.contract.test_ops import Scripted, answered, example

LEAST = 0.5
"""Of what is sent for one candidate, the share that is the same for all, with answers of this length."""


@pytest.mark.parametrize("name", ops.names())
def test_calls_of_a_step_share_all_but_what_they_are_about(name: str) -> None:
    sent: dict[tuple[str, str], set[str]] = defaultdict(set)

    def reply(request: Request) -> str:
        purpose = request.purpose
        asked = request.messages[:-1] if request.continues else request.messages  # what is begun is its own
        sent[purpose.op, purpose.prompt].add("".join(f"{m.role}\n{m.content}\n" for m in asked))
        return f"Draft {request.seeds[0] % 97}: the answer is {request.seeds[0] % 7}."

    answered(example(name), lambda _: Scripted(reply))

    for step, prompts in sent.items():
        if len(prompts) > 1 and not step[1].endswith(".repair"):
            least, *_, most = sorted(prompts)
            shared = "".join(a for a, b in takewhile(lambda two: two[0] == two[1], zip(least, most, strict=False)))
            assert "What is 3 + 4?" in shared, step
            assert len(shared) >= LEAST * min(map(len, prompts)), step
