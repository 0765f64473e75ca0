"""Graders: whether an answer is right, and how right, by the rules of the field. Pure functions, never raising."""

from __future__ import annotations

import ast
import operator
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal

from archc import errors
from archc.diagnostics import SpecError
from archc.ops.extract import Extract

Grader = Literal[
    "numeric",
    "choice",
    "exact",
    "words",
    "contains",
    "f1",
    "math",
    "game24",
    "literal",
    "function",
    "against",
    "asserts",
    "stdio",
    "sql",
    "sql_subset",
    "instructions",
    "ranking",
    "reasoning",
    "preference",
]
"""`numeric` compares by value, `choice` by letter, `exact` without case and outer punctuation, `words` as SQuAD does,
`contains` looks for a right answer within the text, `f1` counts shared words, `math` asks `math-verify`, `game24` works
out the expression, `literal` compares values of Python. `function`, `against`, `asserts` and `stdio` run programs,
`sql` and `sql_subset` queries. `instructions` checks what a response looks like (IFEval),
`ranking` an order of passages, `reasoning` a solution of a puzzle; `preference` asks a judge."""

WITHOUT_ANSWER: Final[frozenset[str]] = frozenset(
    {"function", "asserts", "stdio", "instructions", "ranking", "preference"}
)
"""Those that need no right answer."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "function": ("tests", "entry"),
    "against": ("entry",),
    "asserts": ("tests",),
    "stdio": ("inputs", "outputs"),
    "ranking": ("passages", "gains"),
}
"""What an item must have beside its question, by the names that a task's keys give it: with no test, all would pass."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What one answer came to."""

    correct: bool
    score: float
    """From 0 to 1; where there are no parts of a point, 1 for a right answer."""
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By name, what the task's metrics are counted from: one number, or one of each part of the item."""
    why: str = ""
    """Why it is wrong, where a grader can tell."""


def whole(correct: bool) -> Grade:
    """All or nothing."""
    return Grade(correct, float(correct))


WRONG: Final = Grade(False, 0.0)


def grade(grader: Grader, answer: str, golds: Sequence[str], choices: Sequence[str] = ()) -> Grade:
    """How right an answer is; `golds` are all answers that are right. Raises SpecError if a package is missing."""
    if grader == "choice":
        return whole(letter(answer, choices) in golds)
    grades = [_GRADERS[grader](answer, gold) for gold in golds]
    return max(grades, key=lambda one: (one.correct, one.score), default=WRONG)


# ---- values of Python

_CALL: Final = re.compile(r"\s*(?:assert\s+)?f\(.*?\)\s*==\s*", re.DOTALL)


def is_same_literal(answer: str, gold: str) -> bool:
    """Whether both are the same value of Python, written out (CRUXEval); `assert f(…) ==` may stand before it."""
    known = _literal(gold)
    return bool(known) and any(_literal(text) == known for text in (answer, _CALL.sub("", answer, count=1)))


def _literal(text: str) -> tuple[Any, ...]:
    """The value in a tuple, which is empty if there is none."""
    if len(text) > _LONGEST:
        return ()
    try:
        return (ast.literal_eval(text.strip().strip("`").strip()),)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return ()


# ---- numbers

_VALUE = Extract(kind="number", equivalence="numeric")
_IGNORED = re.compile(r",|\$|(?s:.*)#### |\.$")
"""What lm-evaluation-harness takes out of answers to GSM8K before it compares them."""


def value(text: str) -> str:
    """A form in which equal numbers look equal: `$1,000.00` is `1000`; another text without commas and dollars."""
    plain = _IGNORED.sub("", text.strip()).strip().lower()
    answer = _VALUE.answer(plain)
    return str(answer.key) if answer and answer.text.strip() == plain.rstrip(".% ") else plain


# ---- letters

_LETTER = re.compile(r"\W*([A-Z])(?:\W.*|$)", re.DOTALL)


def letter(text: str, choices: Sequence[str] = ()) -> str:
    """The letter that an answer names: `(B)`, `B. because`, or that of the one choice whose words it has."""
    text = text.strip()
    words = _plain(text)
    named = [
        chr(ord("A") + index)
        for index, choice in enumerate(choices)
        if (said := _plain(choice)) and f" {said} " in f" {words} "
    ]
    match = _LETTER.match(text)
    if match and not (match[1] in "AI" and re.match(r"\W*[AI] [a-z]", text)):  # a word of the language
        return match[1]
    return named[0] if len(named) == 1 else text.upper() if len(text) == 1 else ""


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s.%-]", " ", text.casefold()).rstrip(". ").split())


# ---- words

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_DROPPED = str.maketrans("", "", string.punctuation)


def words(text: str) -> str:
    """The normal form of SQuAD and HotpotQA: lower case, no punctuation, no articles, single blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_DROPPED)).split())


def f1(answer: str, gold: str) -> float:
    """Harmonic mean of the shares of common words; a yes or no must be the whole answer (HotpotQA)."""
    said, right = words(answer), words(gold)
    if said != right and ({said, right} & {"yes", "no", "noanswer"}):
        return 0.0
    ours, theirs = Counter(said.split()), Counter(right.split())
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def same_text(text: str) -> str:
    """A form in which texts look equal that differ in case, blanks, and punctuation around them only."""
    return " ".join(text.casefold().split()).strip(".,;:!?\"'()[]*` ")


# ---- mathematics


def is_equal_math(answer: str, gold: str) -> bool:
    """Whether `math-verify` takes both for the same; SIGALRM ends what takes long, so it needs the main thread.

    Raises SpecError if it is not installed.
    """
    try:
        from math_verify import parse, verify
    except ImportError:
        raise SpecError(errors.MissingExtra(feature="grading by `math`", module="math-verify", extra="math")) from None
    if len(answer) > _LONGEST:
        return False
    try:
        return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(f"\\boxed{{{answer}}}")))
    except Exception:  # noqa: BLE001 (whatever a text does to the parser, it is no right answer)
        return False


_LONGEST: Final = 1_000
"""Characters of an answer that `math-verify` is asked about; it takes seconds for long ones."""
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def makes_24(answer: str, numbers: str) -> bool:
    """Whether an expression is 24 and uses just these numbers, as in the Game of 24; `= 24` may follow."""
    return is_worth(answer, re.findall(r"\d+", numbers), 24)


def is_worth(answer: str, numbers: Sequence[str], target: int) -> bool:
    """Whether an expression has this value and uses just these numbers, each once; `= …` may follow."""
    text = answer.rpartition(":")[2].partition("=")[0].strip().replace("×", "*").replace("÷", "/")
    if len(text) > 200 or sorted(re.findall(r"\d+", text)) != sorted(numbers):
        return False
    try:
        return _worked_out(ast.parse(text, mode="eval").body) == target
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return False


def _worked_out(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() as number):
            return Fraction(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return Fraction(_ARITHMETIC[type(op)](_worked_out(left), _worked_out(right)))
    raise ValueError("not arithmetic")


_GRADERS: Final[Mapping[str, Callable[[str, str], Grade]]] = {
    "numeric": lambda answer, gold: whole(value(answer) == value(gold)),
    "exact": lambda answer, gold: whole(same_text(answer) == same_text(gold)),
    "words": lambda answer, gold: whole(words(answer) == words(gold)),
    "contains": lambda answer, gold: whole(bool(words(gold)) and words(gold) in words(answer)),
    "f1": lambda answer, gold: Grade(words(answer) == words(gold), f1(answer, gold)),
    "math": lambda answer, gold: whole(is_equal_math(answer, gold)),
    "literal": lambda answer, gold: whole(is_same_literal(answer, gold)),
    "game24": lambda answer, gold: whole(makes_24(answer, gold)),
}
