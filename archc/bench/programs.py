"""Programs: graders that run what a model wrote, in the sandbox, on the tests of the task."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from archc.bench.data import Item, at, texts
from archc.bench.graders import Grade, whole
from archc.bench.task import Task
from archc.calls import Limits, Outcome
from archc.sandbox.pool import Sandbox

_CLOSENESS: Final = (Path(__file__).parent / "closeness.py").read_text(encoding="utf-8")
_NUMPY: Final = (
    _CLOSENESS
    + """
import sys, types
numpy = sys.modules["numpy"] = types.ModuleType("numpy")
numpy.allclose, numpy.float64, numpy.float32 = allclose, float, float
numpy.ndarray = type("ndarray", (), {})
"""
)
"""What the tests of MBPP+ use of numpy, for their side only: the sandbox has no packages."""
_AGAINST: Final = """
def check(candidate):
    for given in inputs:
        expected = reference(*copy.deepcopy(given))
        out = candidate(*copy.deepcopy(given))
        assert is_right(given, out, expected)
"""
_ROOTS: Final = """
def is_right(given, out, expected):
    return is_same(out, expected, atol) or abs(poly(*given, out)) <= atol
"""
"""`find_zero` may find any root."""


# ---- which text is the program

_FENCE: Final = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_STOPS: Final = re.compile(r"\n(?=class\b|def\b|#|if\b|print\b|@|import\b|from\b|```|assert\b)")
"""Where what continues a function is over: as HumanEval cuts completions, and a few more of the same kind."""


def block(text: str, names: Sequence[str] = ()) -> str | None:
    """The last fenced block that defines one of these names, else the last block; None where there is none."""
    blocks = [match[2] for match in _FENCE.finditer(f"{text}\n")]
    return next((one for one in reversed(blocks) if _defines(one, names)), blocks[-1] if blocks else None)


def _defines(code: str, names: Sequence[str]) -> bool:
    said = "|".join(map(re.escape, names))
    return bool(names) and re.search(rf"^(?:(?:async )?def|class) (?:{said})\b|^(?:{said})\s*=", code, re.M) is not None


def completed(answer: str, prompt: str, entry: str) -> str:
    """The whole program of an answer to a prompt that ends within the function `entry`.

    An answer with the function in it stands behind what is before the function in the prompt: imports, helpers. Any
    other continues the prompt, with the blanks before its lines put right.
    """
    fenced = block(answer, [entry])
    code = answer if fenced is None else fenced
    if _defines(code, [entry]):
        before = re.split(rf"^def {re.escape(entry)}\b", prompt, maxsplit=1, flags=re.M)[0]
        return code if "from __future__" in code else f"{before}\n{code}"
    body = code.strip("\n")
    if fenced is None:
        body = _STOPS.split(f"\n{body}" if body[:1] not in (" ", "\t") else body, maxsplit=1)[0].strip("\n")
    return f"{prompt.rstrip()}\n{_indented(body)}\n"


def _indented(body: str) -> str:
    """The body of a function with four blanks before it, of which its first line, or each, may have been robbed."""
    first, _, rest = body.partition("\n")
    if first[:1] in (" ", "\t"):
        return body
    depths = [len(line) - len(line.lstrip()) for line in rest.split("\n") if line.strip()]
    if depths and min(depths) >= 4 and (depths[0] >= 8 or not first.rstrip().endswith(":")):
        return f"    {body}"
    return "\n".join(f"    {line}" if line.strip() else line for line in body.split("\n"))


# ---- functions


async def graded_function(box: Sandbox, task: Task, answer: str, item: Item) -> Grade:
    """A function that the prompt begins, by a test with `check(candidate)` (HumanEval)."""
    prompt, entry = _begun(task, item)
    test = "\n".join(texts(at(item.record, task.keys.tests)))
    program = completed(answer, prompt, entry)
    return _told(await box.test(program, test, entry, _limits(task), trusted=f"{prompt}    pass\n"))


async def graded_against(box: Sandbox, task: Task, answer: str, item: Item) -> Grade:
    """A function that the prompt begins, by what the right one gives for the same input (HumanEval+)."""
    prompt, entry = _begun(task, item)
    given = [row for key in ("base_input", "plus_input") for row in at(item.record, key) or ()]
    atol = float(at(item.record, "meta.atol") or 0)
    trusted = [
        _CLOSENESS,
        f"import copy, json\ninputs, atol = json.loads({json.dumps(json.dumps(given))}), {atol}",
        f"{prompt}{item.golds[0]}",
        f"reference = {entry}",
        _ROOTS if entry == "find_zero" else "is_right = lambda given, out, expected: is_same(out, expected, atol)",
    ]
    program = completed(answer, prompt, entry)
    return _told(await box.test(program, _AGAINST, entry, _limits(task), trusted="\n".join(trusted)))


async def graded_asserts(box: Sandbox, task: Task, answer: str, item: Item) -> Grade:
    """A program, by asserts that call its functions (MBPP, MBPP+)."""
    test = "\n".join(texts(at(item.record, task.keys.tests)))
    fenced = block(answer, list(dict.fromkeys(re.findall(r"\b([A-Za-z_]\w*)\(", test))))
    imports = "\n".join(texts(at(item.record, task.keys.imports)))
    trusted = f"{_NUMPY}\n{imports}" if "numpy" in test else imports
    return _told(await box.test(answer if fenced is None else fenced, test, None, _limits(task), trusted=trusted))


def _begun(task: Task, item: Item) -> tuple[str, str]:
    return str(at(item.record, task.keys.question)), str(at(item.record, task.keys.entry) or "")


# ---- whole programs


async def graded_stdio(box: Sandbox, task: Task, answer: str, item: Item) -> Grade:
    """A program that reads its input and prints, by what it should print; all of it counts, or nothing."""
    fenced = block(answer)
    inputs, outputs = (texts(at(item.record, key)) for key in (task.keys.inputs, task.keys.outputs))
    for number, (given, expected) in enumerate(zip(inputs, outputs, strict=False), 1):
        outcome = await box.run(answer if fenced is None else fenced, given, _limits(task))
        if not outcome.passed:
            return Grade(False, 0.0, why=f"test {number}: {outcome.status}: {outcome.message}")
        if not is_printed(outcome.stdout, expected):
            return Grade(False, 0.0, why=f"test {number}: it printed {outcome.stdout[:200]!r}, not {expected[:200]!r}")
    return whole(bool(inputs) and len(inputs) == len(outputs))


def is_printed(stdout: str, expected: str) -> bool:
    """The same lines, but for blanks around words, blank lines at the end, and how a number is written."""
    ours, theirs = (list(map(str.split, text.rstrip().split("\n"))) for text in (stdout, expected))
    return len(ours) == len(theirs) and all(
        len(line) == len(right) and all(map(_is_word, line, right)) for line, right in zip(ours, theirs, strict=True)
    )


def _is_word(said: str, right: str) -> bool:
    if said == right:
        return True
    try:
        return Decimal(said) == Decimal(right)
    except (InvalidOperation, ValueError):
        return False


# ---- all of them


def _limits(task: Task) -> Limits:
    return Limits(task.seconds)


def _told(outcome: Outcome) -> Grade:
    return whole(True) if outcome.passed else Grade(False, 0.0, why=f"{outcome.status}: {outcome.message}"[:500])
