"""The simulated world: which answers are right, and what a judge that errs says of them under a JSON Schema."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Any

from archc.calls import Request
from archc.prompts.fence import fenced

_CLAIM = re.compile(r"answer is:?[ \t]*(.*)", re.IGNORECASE)
_NUMBER = re.compile(r"(-?[0-9]{1,18})(\.[0-9]+)?")
_LISTED = re.compile(r"^(?:[0-9]+[.)]|-) ", re.MULTILINE)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SENTENCES = (
    "The question can be taken apart into smaller steps.",
    "Each given fact is used once and no fact is left over.",
    "Working backwards from the result leads to the same place.",
    "A special case that is easy to check agrees with this.",
    "The other way to read the question changes nothing here.",
    "What remains follows from the step before it.",
    "Nothing in the question speaks against this.",
    "The units on both sides match.",
)


def truth_of(question: str, answers: Mapping[str, str]) -> str:
    """The one right answer, as one line: what `answers` says, else a number made from the question alone.

    What a task's prompt adds after a blank line is not the question's.
    """
    known = answers.get(question, answers.get(question.partition("\n\n")[0]))
    return _line(known) if known is not None else str(100 + int(sha256(_bytes(question)).hexdigest(), 16) % 900)


def wrong_answer(truth: str, index: int) -> str:
    """The wrong answer number `index` (from 0) to a question: another number, letter or text as the truth is one."""
    number = _NUMBER.fullmatch(truth)
    if number:
        return f"{int(number[1]) + 1 + index}{number[2] or ''}"
    if len(truth) == 1 and truth in _LETTERS:
        return _LETTERS.replace(truth, "")[index % (len(_LETTERS) - 1)]
    return f"other answer {index + 1}"


def is_right(text: str, truth: str) -> bool:
    """Whether the last `answer is X` in the text, else its last number, else all of it, is the truth."""
    claims = _CLAIM.findall(text)
    numbers = [m[0] for m in _NUMBER.finditer(text)]
    said = claims[-1] if claims else numbers[-1] if numbers else text
    return _line(said).strip("*$. ").casefold() == _line(truth).strip("*$. ").casefold()


def reward(text: str, truth: str, judgement: float, rng: Random) -> float:
    """What a reward model gives that takes an answer for what it is with probability `judgement`."""
    looks = is_right(text, truth) == (rng.random() < judgement)
    return rng.uniform(0.1, 3.0) * (1 if looks else -1)


def embedding(text: str) -> list[float]:
    """A vector that counts the words of a text, each at one of 64 places."""
    counts = [0.0] * 64
    for word in text.lower().split():
        counts[sha256(_bytes(word)).digest()[0] % 64] += 1.0
    return counts


def filler(rng: Random, words: int) -> str:
    """Sentences of at least `words` words together, without a number or an answer in them."""
    said: list[str] = []
    while sum(len(sentence.split()) for sentence in said[-words:]) < words:
        said.append(rng.choice(_SENTENCES))
    return " ".join(said)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a prompt shows: the truth of its question, whether each fenced candidate is right, how many tests."""

    truth: str
    rights: tuple[bool, ...]
    tests: int

    @classmethod
    def of(cls, request: Request, answers: Mapping[str, str]) -> Scene:
        """Reads the user's turns. A request without a question is about its last turn."""
        text = "\n".join(m.content for m in request.messages if m.role == "user")
        last = request.messages[-1].content if request.messages else ""
        truth = truth_of(request.purpose.question or last, answers)
        candidates = fenced(text)
        listed = len(_LISTED.findall(text)) - sum(len(_LISTED.findall(c)) for c in candidates)
        tests = len(fenced(text, "test")) or listed
        return cls(truth, tuple(is_right(c, truth) for c in candidates), tests)


@dataclass(frozen=True, slots=True)
class _At:
    """A place in a reply: property, position in the innermost list, and how what it speaks of looks to the judge."""

    name: str = ""
    index: int = 0
    looks: bool | None = None
    depth: int = 0


_DEEP = 8
_PLACES = {"candidate", "id", "index", "number", "test"}
_GOOD = {"correct", "good", "pass", "passed", "right", "true", "valid", "yes"}
_BAD = {"bad", "fail", "failed", "false", "incorrect", "invalid", "no", "wrong"}


class Judge:
    """Writes one JSON reply that follows a schema.

    It looks at each candidate once and takes it for what it is with probability `judgement`; all that it says follows:
    `ranking` puts those that look right first, and in what speaks of a single candidate booleans, verdicts, numbers and
    remarks are favourable or not. A list has an entry per candidate, `results` one per test, `tests` `maxItems` or 3,
    all within the schema's limits. A candidate that looks wrong fails one test, and each other with probability 1/2.

    Not read: `pattern`, `format`, `multipleOf`, `uniqueItems`. Raises ValueError or TypeError for a broken schema.
    """

    def __init__(self, schema: str, scene: Scene, judgement: float, rng: Random) -> None:
        self._root = json.loads(schema)
        self._rng = rng
        self._tests = scene.tests
        self._looks = tuple(right == (rng.random() < judgement) for right in scene.rights)

    def write(self) -> str:
        """The reply, as JSON text."""
        looks = self._looks[0] if len(self._looks) == 1 else None
        return json.dumps(self._value(self._root, _At(looks=looks)), ensure_ascii=False)

    def _value(self, schema: Any, at: _At) -> Any:
        schema = self._plain(schema, at)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._option(schema["enum"], at)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                return self._object(schema, at)
            case "array":
                return self._array(schema, at)
            case "integer" | "number" as kind:
                return self._number(schema, at, whole=kind == "integer")
            case "boolean":
                return self._rng.random() < 0.5 if at.looks is None else at.looks
            case "null":
                return None
            case _:
                return self._string(schema, at)

    def _plain(self, schema: Any, at: _At) -> dict[str, Any]:
        """The schema with references followed and alternatives decided: the first, or deep down one without more."""
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            raise ValueError(f"not a schema: {schema!r}")
        rest = {k: v for k, v in schema.items() if k not in ("$ref", "allOf", "anyOf", "oneOf")}
        options = schema.get("anyOf") or schema.get("oneOf") or []
        if options:
            ends = [o for o in options if isinstance(o, dict) and o.get("type") == "null"]
            return self._plain(options[0] if at.depth < _DEEP or not ends else ends[0], at) | rest
        for part in schema.get("allOf", []):
            rest = self._plain(part, at) | rest
        if "$ref" not in schema:
            return rest
        if at.depth > 4 * _DEEP:
            raise ValueError("the schema has no end")
        return self._plain(self._referred(schema["$ref"]), replace(at, depth=at.depth + 1)) | rest

    def _referred(self, ref: str) -> Any:
        found = self._root
        for step in ref.removeprefix("#").split("/")[1:]:
            if not isinstance(found, dict) or step not in found:
                raise ValueError(f"the schema refers to {ref}, which is not there")
            found = found[step]
        return found

    def _object(self, schema: dict[str, Any], at: _At) -> dict[str, Any]:
        if at.depth > 4 * _DEEP:
            raise ValueError("the schema has no end")
        required = schema.get("required", [])
        return {
            name: self._value(part, replace(at, name=name, depth=at.depth + 1))
            for name, part in schema.get("properties", {}).items()
            if at.depth < _DEEP or name in required
        }

    def _array(self, schema: dict[str, Any], at: _At) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        first, items = schema.get("prefixItems", []), schema.get("items", {})
        count = max(least, min(most, max(len(first), self._natural(schema, at))))
        places = self._entries(replace(at, depth=at.depth + 1), count)
        return [self._value(first[i] if i < len(first) else items, place) for i, place in enumerate(places)]

    def _natural(self, schema: dict[str, Any], at: _At) -> int:
        """How many entries a list has if the schema leaves it open."""
        if at.depth >= _DEEP:
            return 0
        if at.name in ("results", "tests"):
            return self._tests or 1 if at.name == "results" else schema.get("maxItems", 3)
        return max(1, len(self._looks)) if at.looks is None else 1

    def _entries(self, at: _At, count: int) -> list[_At]:
        """What each entry of a list is to speak of."""
        looks = self._looks
        if at.name == "ranking":
            order = sorted(range(len(looks)), key=lambda i: (not looks[i], self._rng.random()))
            return [replace(at, name="candidate", index=i) for i in (*order, *range(len(looks), count))][:count]
        views: list[bool | None] = [at.looks] * count
        if at.name == "results" and at.looks is False:
            failed = self._rng.randrange(max(1, count))
            views = [i != failed and self._rng.random() < 0.5 for i in range(count)]
        elif at.looks is None:
            views = [looks[i] if i < len(looks) else None for i in range(count)]
        return [replace(at, index=i, looks=view) for i, view in enumerate(views)]

    def _option(self, options: list[Any], at: _At) -> Any:
        fitting = [o for o in options if at.looks is not None and str(o).lower() in (_GOOD if at.looks else _BAD)]
        return self._rng.choice(fitting or options)

    def _number(self, schema: dict[str, Any], at: _At, *, whole: bool) -> float:
        """In the upper half of its range (ten wide if open) for what looks right, else in the lower half."""
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        low = schema.get("minimum", above)
        high = schema.get("maximum", below)
        if low is None:
            low = 0 if high is None or high > 0 else high - 10
        high = low + 10 if high is None else high
        start, end = {None: (0.02, 0.98), True: (0.5, 0.98), False: (0.02, 0.5)}[at.looks]
        share = self._rng.uniform(start, end)
        if not whole:
            return float(low + share * (high - low))
        least = math.floor(above) + 1 if above is not None else math.ceil(low)
        most = math.ceil(below) - 1 if below is not None else math.floor(high)
        if least > most:
            raise ValueError(f"the schema has no whole number from {low} to {high}")
        return max(least, min(most, at.index + 1 if at.name in _PLACES else least + int(share * (most - least + 1))))

    def _string(self, schema: dict[str, Any], at: _At) -> str:
        if at.name == "tests":
            text = f"The answer settles part {at.index + 1} of the question."
        elif at.looks is None:
            text = filler(self._rng, 1)
        elif at.name == "verdict":
            text = "correct" if at.looks else "incorrect"
        else:
            text = f"{'This holds.' if at.looks else 'There is a mistake.'} {filler(self._rng, 1)}"
        return text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), ".")


def _line(text: str) -> str:
    return " ".join(text.split())


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
