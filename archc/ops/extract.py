"""extract: find the final answer within each text, in a form in which equal answers look equal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from archc.ir.elementwise import Elementwise
from archc.ir.op import Context
from archc.ir.shape import Shape
from archc.ops import _answers
from archc.ops._patterns import check_pattern
from archc.values import Answer, Candidate, CandidateSet, Facet


class Extract(Elementwise):
    r"""Find the final answer within each text, for a later `vote`. Asks no model and drops nothing.

    `number`: the number after `answer is`, `answer:`, `####` or `\boxed`, else the last one. `letter`: a capital after
    the same marks, else one in brackets or bold, else one that stands alone. `boxed`: what `\boxed` or `\fbox` holds.
    `code`: a fenced block. `regex`: group 1 of `pattern`, or all it matches. `json`: an object or list. A text in which
    nothing is found has no answer. Of a text that was cut off at `max_tokens` the last word is left out. Of a long text
    (but for `code`) 20,000 characters are read: the end, or the start for `which: first`.

    Source: self-consistency (arXiv 2203.11171); the rules follow the usual graders of GSM8K and MATH.

    Example:
        - generate: {model: small, n: 8}
        - extract: {kind: number}
        - vote
    """

    main: ClassVar[str] = "kind"

    kind: Annotated[Literal["number", "letter", "boxed", "code", "regex", "json"], Field(examples=["number"])]
    """What an answer looks like."""
    pattern: str | None = None
    """A Python regular expression, for `kind: regex`. Repeats of varying length may not contain each other."""
    equivalence: Literal["auto", "exact", "casefold", "numeric"] = "auto"
    """Which answers are equal: by the rules of their kind, as written, ignoring case, or by value as numbers (then what
    is not a number is no answer)."""
    which: Literal["last", "first"] = "last"
    """Which one to take where several are found."""
    choices: Annotated[str, Field(pattern="^[A-Z]+$")] = "ABCDE"
    """The letters that `kind: letter` looks for."""

    @model_validator(mode="after")
    def _a_pattern_belongs_to_regex(self) -> Self:
        if self.kind != "regex":
            if self.pattern is not None:
                raise ValueError(f"`pattern` is for `kind: regex`, not for `kind: {self.kind}`")
        elif self.pattern is None:
            raise ValueError("`kind: regex` needs a `pattern`")
        else:
            check_pattern(self.pattern)
        return self

    @property
    def annotates(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        return before.adding(Facet.ANSWER)

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        return replace(candidate, answer=self.answer(_whole(candidate)))

    def gathered(self, ctx: Context, made: list[Candidate], before: CandidateSet) -> list[Candidate]:
        ctx.note("extracted", found=sum(c.answer is not None for c in made), of=len(made))
        return made

    def answer(self, text: str) -> Answer | None:
        """The answer in `text`."""
        last = self.which == "last"
        if self.kind != "code":
            text = text[-_answers.MOST_READ :] if last else text[: _answers.MOST_READ]
        match self.kind:
            case "letter":
                found = _answers.letter(text, last, self.choices)
            case "regex":
                found = _answers.by_pattern(re.compile(self.pattern or ""), text, last)
            case _:
                found = _answers.FINDERS[self.kind](text, last)
        key = self._key(found) if found else None
        return Answer(found, key) if found and key is not None else None

    def _key(self, found: str) -> str | None:
        match self.equivalence:
            case "exact":
                return found
            case "casefold":
                return " ".join(found.casefold().split())
            case "numeric":
                return _answers.number_key(_answers.plain(found))
            case _:
                return _answers.KEYS[self.kind](found)


def _whole(candidate: Candidate) -> str:
    """The text without the word at its end if that was cut off at `max_tokens`: half a number is another number."""
    text = candidate.text
    return text[: len(text) - len(re.split(r"\s", text)[-1])] if candidate.truncated else text
