"""Code of the simulated world: functions, tests of them, and programs that check an answer.

A question that holds `def NAME(` asks for a function. The right one adds its arguments to the question's truth (or
gives it, where that is no whole number), whatever the question says.
"""

from __future__ import annotations

import re
from random import Random

from archc.backends._world import filler, wrong_answer

_HEAD = re.compile(r"^[ \t]*(?:async )?def[ \t]+(\w+)[ \t]*\(", re.MULTILINE)
_COUNT = re.compile(r"\bWrite (\d{1,3}) tests")
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def function_asked_for(question: str) -> str:
    """The last function whose head stands in a question; empty if it asks for none."""
    heads = _HEAD.findall(question)
    return heads[-1] if heads else ""


def function(name: str, answer: str, rng: Random, words: int) -> str:
    """A reply with a function that comes to that answer."""
    result = f"sum(values) + {answer}" if _WHOLE.fullmatch(answer) else repr(answer)
    body = f"    # the answer is {answer}\n    return {result}"
    return f"{filler(rng, words)}\n```python\ndef {name}(*values):\n{body}\n```"


def tests(name: str, truth: str, prompt: str, judgement: float, wrong_answers: int, rng: Random) -> str:
    """As many asserts as the prompt wants, each right with probability `judgement`."""
    asked = _COUNT.search(prompt)
    lines = []
    for i in range(int(asked[1]) if asked else 3):
        right, wrong = rng.random() < judgement, wrong_answer(truth, rng.randrange(wrong_answers))
        claimed = truth if right else wrong
        result = str(2 * i + 1 + int(claimed)) if _WHOLE.fullmatch(claimed) else repr(claimed)
        lines.append(f"assert {name or 'solution'}({i}, {i + 1}) == {result}")
    return "```python\n" + "\n".join(lines) + "\n```"


def check(truth: str, judgement: float, rng: Random) -> str:
    """A program that takes the variable `answer` for what it is with probability `judgement`."""
    word = "in" if rng.random() < judgement else "not in"
    return f"```python\nresult = {truth!r}\nassert result {word} answer, 'the result is another one'\n```"
