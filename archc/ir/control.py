"""Control: ops that run blocks, which are pipelines of their own, and say how often at most."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator, Coroutine, Hashable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, PlainSerializer, ValidationInfo, WithJsonSchema

from archc.diagnostics import Diagnostic
from archc.ir.condition import Condition
from archc.ir.op import Context, Op, Turn
from archc.ir.region import Node, Region
from archc.ir.shape import Shape
from archc.spec.model import Budget
from archc.values import CandidateSet, Interval


def _given(value: Any, info: ValidationInfo) -> Any:
    """Blocks and conditions are lowered before the op is made; their keys stand in for them."""
    made = (info.context or {}).get("made", {})
    return made.get(value, value) if isinstance(value, str) else value


Block = Annotated[
    Region,
    BeforeValidator(_given),
    PlainSerializer(lambda region: region.content()),
    WithJsonSchema({"type": "array", "x-archc": "pipeline"}),
]
"""A parameter that holds a pipeline."""

Test = Annotated[
    Condition,
    BeforeValidator(_given),
    PlainSerializer(lambda condition: condition.text),
    WithJsonSchema({"type": "string", "x-archc": "condition"}),
]
"""A parameter that holds a condition."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A block that may be run with what arrives at it, so many times."""

    block: str
    arrives: Shape
    times: Interval


class Control(Op, abc.ABC):
    """Base of the ops that have blocks: fields of type `Block`, or a tuple of them."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    reads_candidates: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False
    """Whether only one of its blocks is run."""
    loops: ClassVar[bool] = False
    """Whether a block may run on what it gave."""
    gathers: ClassVar[bool] = False
    """Whether its condition looks at one turn first, then at two together, and so on."""
    limits_spending: ClassVar[bool] = False
    """Whether its parameters `calls`, `tokens` and `usd` limit what its blocks spend."""
    hands_on: ClassVar[bool] = True
    """Whether what arrives may leave as it is, for example when a block fails."""
    unrolled: ClassVar[tuple[str, str] | None] = None
    """A parameter with a list, and the name under which each item is known in a block of its own."""

    @cached_property
    def blocks(self) -> Mapping[str, Region]:
        """The blocks by the parameter that holds each; those of a list are numbered: `branches.0`."""
        found: dict[str, Region] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Region):
                found[name] = value
            elif isinstance(value, tuple) and value and isinstance(value[0], Region):
                found |= {f"{name}.{i}": block for i, block in enumerate(value)}
        return found

    @cached_property
    def conditions(self) -> Mapping[str, Condition]:
        """The conditions by the parameter that holds each."""
        held = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in held if isinstance(value, Condition)}

    @cached_property
    def around(self) -> frozenset[str]:
        """What its blocks read from around them."""
        return frozenset().union(*(block.around for block in self.blocks.values()))

    @property
    def rounds(self) -> int:
        """How many different visits there are to a block, at most."""
        return 1

    @classmethod
    def taken(cls, conditions: Mapping[str, Condition]) -> str | None:
        """The parameter with the only block that is ever run, where its conditions tell that beforehand."""
        return None

    @abc.abstractmethod
    def visits(self, before: Shape) -> tuple[Visit, ...]:
        """Every way in which its blocks may be run."""

    @abc.abstractmethod
    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        """Calls that must wait for each other, given those within one run of each of `visits(before)`."""

    @property
    def skips(self) -> bool:
        """Whether, with `exclusive`, it may also be that no block is run."""
        return False

    @property
    def limit(self) -> Budget | None:
        """What its blocks together may spend; nothing more is limited by default."""
        return None

    def judged(self, before: Shape) -> tuple[tuple[Condition, Shape], ...]:
        """Each condition with the candidates it looks at."""
        return ()


def in_turn(depths: Sequence[Interval], visits: Sequence[Visit]) -> Interval:
    """Calls that wait for each other where the visits follow each other."""
    total = Interval(0, 0)
    for depth, visit in zip(depths, visits, strict=True):
        total = total + depth * visit.times
    return total


def at_once(depths: Sequence[Interval]) -> Interval:
    """The same where all of them run side by side."""
    return Interval(max((d.lo for d in depths), default=0), max((d.hi for d in depths), default=0))


def conditions_of(op: Op) -> Mapping[str, Condition]:
    """The conditions of an op, by parameter; most have none."""
    return op.conditions if isinstance(op, Control) else {}


def counts_spending(nodes: Iterable[Node]) -> bool:
    """Whether a condition of any of them counts what was spent."""
    return any(condition.counts_spending for node in nodes for condition in conditions_of(node.op).values())


class NoResult(Exception):
    """Raised by a control op whose blocks gave nothing, where nothing arrived to fall back to."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.headline)
        self.diagnostic = diagnostic


def instead(ctx: Context, turn: Turn, kept: CandidateSet) -> CandidateSet:
    """What goes on after a turn that failed: what was there before it. Raises NoResult if that is nothing."""
    assert turn.failed
    if not kept.candidates:
        raise NoResult(turn.failed)
    ctx.note("degraded", fallback="kept the candidates that arrived", reason=turn.failed.headline)
    return kept


def can_fail(block: Region) -> bool:
    """Whether a block may give nothing at all: a step that leads to its end, or a name from around it, may fail."""
    return bool(block.around) or _has_what_fails(block)


def _has_what_fails(block: Region) -> bool:
    ends = block.by_id.keys() & set(block.outputs)
    leading = ends.union(*map(block.before, ends))
    ops = [node.op for node in block.nodes if node.id in leading]
    return any(op.min_candidates or any(map(_has_what_fails, op.blocks.values())) for op in ops)


@asynccontextmanager
async def started(work: Iterable[Coroutine[Any, Any, Turn]]) -> AsyncIterator[list[asyncio.Task[Turn]]]:
    """Tasks that run side by side; those not done at the end are cancelled, and are gone when this is left."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield tasks
        for task in tasks:
            task.cancel()


@cache
def parameters_with(kind: type[Op], what: Hashable) -> Mapping[str, bool]:
    """The parameters of an op that hold a `what`, the class Region or Condition, and whether a list of them."""
    found = {}
    for name, field in kind.model_fields.items():
        inner = [field.annotation, *(part for option in get_args(field.annotation) for part in _plain(option))]
        if what in inner:
            found[field.alias or name] = get_origin(field.annotation) is tuple
    return found


def _plain(annotation: Any) -> tuple[Any, ...]:
    """A type without what annotates it."""
    return (annotation, *get_args(annotation)[:1])


def tests_of_copies(block: Region, before: Shape, copies: int) -> int:
    """How long the tests are, at most, that so many copies of a block leave together.

    Those that only pass by are the same for all copies; those that a copy writes are its own.
    """
    longer = replace(before, tests=before.tests + 1)
    one, other = block.shape(before).tests, block.shape(longer).tests
    pass_by = (one, other) == (before.tests, longer.tests)
    return one if pass_by else one * copies
