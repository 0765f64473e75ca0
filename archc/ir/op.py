"""Op: one step of an architecture, with its parameters, its type, its price and what it does.

An op is one file in `archc/ops/` with its prompts beside it. An instance is the op with its parameters; it is frozen.
It sees the world only through its `Context`.
"""

from __future__ import annotations

import abc
import asyncio
import re
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo, field_validator

from archc.calls import MESSAGE_TOKENS, NOTHING, Ask, Capability, Conversation, Execute, Sampling, Spend
from archc.diagnostics import Diagnostic
from archc.ir.shape import Shape
from archc.prompts.reply import REPAIR_BYTES
from archc.prompts.template import Template, placeholders, read_templates
from archc.spec.model import Budget
from archc.values import Candidate, CandidateSet, Facet, Facets, Interval


class Context(Protocol):
    """What an op may use."""

    @property
    def question(self) -> Conversation:
        """The conversation; its last message is the question."""

    @property
    def ask(self) -> Ask:
        """The way to the models."""

    @property
    def execute(self) -> Execute:
        """The way to the sandbox, for ops that say that they execute."""

    def order(self, count: int) -> tuple[int, ...]:
        """A permutation of `range(count)`, fixed by the run's seed and the node."""

    def note(self, event: str, **data: Any) -> None:
        """Records a fact in the trace; `degraded` marks a result that took a fallback."""

    async def enter(
        self,
        block: str,
        arrives: CandidateSet,
        *,
        turn: int | None = None,
        copy: int | None = None,
        limit: Budget | None = None,
    ) -> Turn:
        """Runs one of the op's blocks. `turn` (from 0) tells its samples from those of other turns.

        `copy` instead goes on in the row of samples where copy `copy - 1` ends, so that copies of a step that draws
        one sample draw those that one step of `n` samples would. `limit` is what it may spend, and how long it takes.
        """

    def has_room(self) -> bool:
        """Whether the budgets that may `degrade` have room for this op beside all that must come."""

    def holds(self, condition: str, candidates: CandidateSet, turns: Sequence[Turn] = ()) -> bool:
        """Whether a condition of the op holds of the candidates, after these turns."""

    def took(self, *turns: Turn) -> None:
        """Says which turns led to the result, so that later conditions count what they spent."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of a block."""

    result: CandidateSet
    failed: Diagnostic | None = None
    """Why there is no result, if there is none."""
    drawn: Spend = NOTHING
    """What its samples cost when they were bought, now or before."""


ModelName = Annotated[str, Field(description="A name from `models`.")]


@dataclass(frozen=True, slots=True)
class Calls:
    """The price of one kind of call within an op: how many, and at most how long each."""

    model: str
    count: Interval
    prompt: Interval
    """Tokens of one prompt."""
    completion: int
    """Tokens of one completion, at most."""
    likely: int = 1 << 40
    """Tokens of one prompt, if its texts are ordinary English and as long as they may be; no more than `prompt`."""


class Op(BaseModel, abc.ABC):
    """Base of all ops. Subclasses add parameters as fields, each with a line of documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    name: ClassVar[str]
    main: ClassVar[str] = "model"
    """The parameter that an argument without a name gives."""
    reads_candidates: ClassVar[bool] = True
    """Whether it looks at the candidates that arrive."""

    needs_large: ClassVar[bool] = False
    """Whether small models (8B and below) are known to do it badly."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    # ---- facts, asked by the checker and the passes

    @property
    def needs(self) -> Facets:
        """Facets that must be there."""
        return frozenset()

    @property
    def reads(self) -> Facets:
        """Facets that change what it does, needed or not."""
        return self.needs

    @property
    def welcomes(self) -> dict[str, Facet]:
        """Facets that are not needed, but surely expected where this parameter is written."""
        return {}

    @property
    def models(self) -> dict[str, str]:
        """The models it asks, by the field that names them."""
        return {}

    @property
    def annotates(self) -> bool:
        """Whether it only adds facets: candidates, their number and order stay."""
        return False

    @property
    def blocks(self) -> Mapping[str, Any]:
        """The pipelines it runs, by name (see `archc.ir.control`); none for most."""
        return {}

    @property
    def around(self) -> frozenset[str]:
        """The nodes around its blocks that these read."""
        return frozenset()

    @property
    def chooses(self) -> bool:
        """Whether all it does is order, drop or merge candidates, so that one alone leaves it nothing to do."""
        return False

    @property
    def min_candidates(self) -> int:
        """With fewer results than this the question fails; 0 for ops that cannot lose any."""
        return 0

    @property
    def samples(self) -> int:
        """How many independent samples of one prompt it draws, if that is all it does; else 0.

        Each that is drawn is then a candidate as it comes (`archc.ir.drawn.candidate_of`).
        """
        return 0

    @property
    def at_a_time(self) -> int:
        """How many of its samples to draw at a time, where what follows may be settled by fewer; 0 for all at once."""
        return 0

    @property
    def picks(self) -> bool:
        """Whether what leaves are some of the candidates that arrived, as they were, in any order."""
        return False

    @property
    def scores_are_shares(self) -> bool:
        """Whether the scores it gives, if it gives any, lie between 0 and 1."""
        return False

    def settles(self, most: int, bounded: bool) -> int | None:
        """How few of `most` candidates may settle what it gives; None if it needs all.

        `bounded` says that scores lie between 0 and 1.
        """
        return None

    def settled(self, seen: Sequence[Candidate], left: int) -> bool:
        """Whether what it gives is the same however many, `left` at most, come after those `seen`, whatever they are.

        Once it is so, it stays so. An op that treats each candidate for itself has `seen` what it made of them.
        """
        return not left

    @property
    def requires(self) -> frozenset[Capability]:
        """What its model must be able to do."""
        return frozenset({"text"})

    @property
    def executes(self) -> bool:
        """Whether it runs code in the sandbox, which must then be there before anything is paid for."""
        return False

    @abc.abstractmethod
    def shape(self, before: Shape) -> Shape:
        """What leaves, given what arrives."""

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        """At least and at most what it asks; nothing by default."""
        return ()

    def depth(self, before: Shape) -> Interval:
        """Calls that must wait for each other; all others run at once."""
        return Interval(0, 0)

    # ---- the work

    @abc.abstractmethod
    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        """Does it. Never raises for what a model or a server does: failures are values with a defined fallback."""

    # ---- prompts

    @classmethod
    def templates(cls) -> dict[str, Template]:
        """The prompts in the file beside the op, by name."""
        return dict(read_templates(_template_path(cls)).prompts)

    @classmethod
    def text(cls, name: str) -> str:
        """A piece of text from the file beside the op."""
        return read_templates(_template_path(cls)).texts[name]

    def template(self, name: str) -> Template:
        """The prompt to use: the spec's own where it gives one (a field `prompt` or `NAME_prompt`)."""
        built_in = self.templates()[name]
        own = getattr(self, "prompt" if name == "prompt" else f"{name}_prompt", None)
        return Template(built_in.system, own) if own else built_in

    def messages(self, ctx: Context, name: str, **values: str) -> Conversation:
        """The filled prompt `name`, after the question's earlier turns."""
        return self.template(name).render(ctx.question, values)

    @field_validator("*", mode="after")
    @classmethod
    def _prompts_ask_for_what_exists(cls, value: Any, info: ValidationInfo) -> Any:
        field = info.field_name or ""
        if not isinstance(value, str) or not (field == "prompt" or field.endswith("_prompt")):
            return value
        known = cls.templates()[field.removesuffix("_prompt")].names | {"question"}
        unknown = placeholders(value) - known
        if unknown:
            names = ", ".join(f"`{{{n}}}`" for n in sorted(known))
            raise ValueError(f"`{{{min(unknown)}}}` is not a value of this prompt, which has {names}")
        return value


class ModelOp(Op):
    """An op that asks a model."""

    model: Annotated[ModelName, Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature, 0 to 2."""
    max_tokens: PositiveInt = 1024
    """The most tokens of one completion."""

    @property
    def models(self) -> dict[str, str]:
        return {"model": self.model} if self.model else {}

    @property
    def sampling(self) -> Sampling:
        """How its completions are drawn."""
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)

    def price(self, name: str, count: Interval, before: Shape, holds: int = 0) -> Calls:
        """Calls of prompt `name` that hold at most `holds` tokens beside the template and the question."""
        template = self.template(name)
        most = template.bytes + 2 * MESSAGE_TOKENS + before.question + holds
        texts = holds * before.tokens // (before.tokens + FENCE_TOKENS)  # the rest is counted in bytes, too
        likely = (template.bytes + holds - texts) // 4 + MESSAGE_TOKENS + before.question + texts
        return Calls(self.model, count, Interval(min(template.words, most), most), self.max_tokens, likely)

    def price_with_repair(self, name: str, count: Interval, before: Shape, holds: int = 0) -> tuple[Calls, ...]:
        """The same, each of which may be asked once more."""
        first = self.price(name, count, before, holds)
        most = first.prompt.hi + self.max_tokens + REPAIR_BYTES + 2 * MESSAGE_TOKENS
        likely = first.likely + self.max_tokens + REPAIR_BYTES // 4 + 2 * MESSAGE_TOKENS
        again = Calls(self.model, Interval(0, count.hi), Interval(first.prompt.lo, most), self.max_tokens, likely)
        return (first, again)


FENCE_TOKENS = 80
"""The most tokens that the fence around one candidate adds."""


def shown(before: Shape, notes: bool = False) -> int:
    """Tokens of all candidates put into one prompt, at most."""
    each = before.tokens + FENCE_TOKENS + (before.notes + FENCE_TOKENS if notes else 0)
    return before.size.hi * each


T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs all at once and gives the results in order; one that raises cancels the rest."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]


@cache
def _template_path(op: type[Op]) -> Path:
    return Path(str(sys.modules[op.__module__].__file__)).with_suffix(".txt")
