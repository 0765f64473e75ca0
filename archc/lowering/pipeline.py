"""Pipelines: from stages to nodes, blocks and used specs included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from archc import errors, ops
from archc.diagnostics import MOST_TOLD, Diagnostic, Label, SpecError, did_you_mean
from archc.ir.condition import Condition
from archc.ir.control import Control, parameters_with
from archc.ir.op import Context, Op
from archc.ir.region import Node, Region
from archc.ir.shape import Shape
from archc.lowering.models import Models
from archc.lowering.scope import Loader, Named, Scope
from archc.source import Source, Span
from archc.spec.expressions import Constant
from archc.spec.located import Entry, Leaf, Listing, Located, Table, leaves, plain, span_at
from archc.spec.model import Parallel, Sequence, Spec, Stage, Step
from archc.spec.params import bound, unbound, unescaped, unknown
from archc.spec.pipeline import sequence
from archc.spec.validation import validated, wrong
from archc.values import CandidateSet, Facet, Facets, Interval

MAX_CONNECTIONS, MAX_STEPS, MAX_NESTED = 200_000, 12_000, 100
KEEP, NOTHING, USE = "keep", "nothing", "use"
WORDS = (KEEP, NOTHING, USE)
"""Steps of the language itself: what arrives, unchanged; no candidates; another spec."""

Outputs = tuple[str, ...]


class Unreadable(Op):
    """Stands for a step that is wrong in itself, so that nothing is said about those after it."""

    reads_candidates: ClassVar[bool] = False

    @property
    def reads(self) -> Facets:
        return frozenset(Facet)

    def shape(self, before: Shape) -> Shape:
        return before.fresh(Interval(1, 2), 0, *Facet)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        return before


class Pipelines:
    """Makes the nodes of a spec and of all that it uses."""

    def __init__(self, models: Models, load: Loader, found: list[Diagnostic]) -> None:
        self._models = models
        self._load = load
        self._found = found
        self._nodes: list[Node] = []
        self._names: Counter[str] = Counter()
        self._sites: Counter[tuple[str, ...]] = Counter()
        self._connections = 0
        self._steps_seen = 0
        self._depth = 0
        self._specs: dict[tuple[str, str, Table], Spec | tuple[Diagnostic, ...]] = {}
        """What was loaded, or what was wrong with it, by path, the file that names it, and the values of its params."""
        self.spared: set[str] = set()
        """Models that would be asked if params were others."""
        self._read: set[Span] = set()
        """Where the names that are read were given."""
        self.unset: set[Span] = set()
        """Where params stand that have no value."""

    def body(self, pipeline: Sequence, scope: Scope) -> Region:
        """The whole pipeline of a spec."""
        self._unset(scope.spec)
        outputs = self._stage(pipeline, (), scope)
        return Region(tuple(self._nodes), outputs)

    def _unset(self, spec: Spec) -> None:
        self.unset |= {value.span for value in spec.params.values() if _is_null(value)}

    def _stage(self, stage: Stage, inputs: Outputs, scope: Scope) -> Outputs:
        """Adds the nodes of a stage; gives the ids of its outputs."""
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise SpecError(errors.TooLarge(span=stage.span, what="levels of nesting", limit=MAX_NESTED))
        match stage:
            case Step():
                outputs = self._step(stage, inputs, scope)
            case Sequence():
                outputs = self._sequence(stage, inputs, scope)
            case Parallel():
                outputs = self._parallel(stage, inputs, scope)
        self._depth -= 1
        return outputs

    def _parallel(self, layer: Parallel, inputs: Outputs, scope: Scope) -> Outputs:
        outputs: list[str] = []
        for branch in layer.branches:
            outputs += self._stage(branch, inputs, scope)
            self._connect(0, layer.span, len(outputs))
        return tuple(outputs)

    def _connect(self, more: int, span: Span, here: int = 0) -> None:
        """Counts connections, so that names and layers cannot double them without end; `here` are not counted yet."""
        self._connections += more
        if self._connections + here > MAX_CONNECTIONS:
            raise SpecError(errors.TooLarge(span=span, what="connections between steps", limit=MAX_CONNECTIONS))

    def _sequence(self, stages: Sequence, inputs: Outputs, scope: Scope) -> Outputs:
        own: dict[str, Named] = {}
        for let in stages.lets:
            if let.name in ops.names() or let.name in WORDS:
                self._found.append(errors.ShadowedOp(span=let.name_span, word=let.name))
            named = Named(self._stage(let.pipeline, inputs, scope), let.name_span)
            own[let.name] = named
            scope = scope.naming(let.name, named)
        for stage in stages.stages:
            inputs = self._stage(stage, inputs, scope)
        unread = [(name, named) for name, named in own.items() if named.span not in self._read]
        self._found += [errors.UnusedName(span=named.span, word=name) for name, named in unread]
        return inputs

    def _limit_steps(self, span: Span, more: int = 0) -> None:
        if self._steps_seen + more > MAX_STEPS:
            raise SpecError(errors.TooLarge(span=span, what="steps and blocks", limit=MAX_STEPS))

    def _step(self, step: Step, inputs: Outputs, scope: Scope) -> Outputs:
        self._steps_seen += 1
        self._limit_steps(step.span)
        if named := scope.names.get(step.op):
            self._read.add(named.span)
            return named.outputs
        match step.op:
            case "keep":
                return inputs
            case "nothing":
                return ()
            case "use":
                return self._use(step, inputs, scope)
            case _:
                return self._op_step(step, inputs, scope)

    # ---- ops

    def _op_step(self, step: Step, inputs: Outputs, scope: Scope) -> Outputs:
        kind = self._kind(step, scope)
        if kind is None:
            return self._node(step, self._id(Unreadable), Unreadable(), inputs)
        before = len(self._found)
        args = _arguments(step, kind)
        conditions = self._conditions(kind, args, scope)
        sound = self._sound_since(before)
        if sound and issubclass(kind, Control) and (taken := kind.taken(conditions)) is not None:
            way = args.get(taken)
            self._spare(kind, args, scope)
            return self._stage(self._steps(way.value), inputs, scope) if way else inputs
        name = self._id(kind)
        blocks = self._blocks(kind, args, scope, name)
        op = self._op(step, kind, args, scope, {**conditions, **blocks}, sound=self._sound_since(before))
        return self._node(step, name, op or Unreadable(), inputs)

    def _sound_since(self, before: int) -> bool:
        """Whether nothing wrong has been found after the first so many diagnostics."""
        return not any(d.severity == "error" for d in self._found[before:])

    def _spare(self, kind: type[Op], args: Table, scope: Scope) -> None:
        """Notes the models in blocks that are not taken: with other params they would be asked."""
        blocks = (entry.value for key in parameters_with(kind, Region) if (entry := args.get(key)))
        words = (leaf for block in blocks for leaf in leaves(bound(block, scope.params)) if isinstance(leaf.value, str))
        self.spared |= {name for leaf in words if (name := scope.model(str(leaf.value), leaf.span))}

    def _kind(self, step: Step, scope: Scope) -> type[Op] | None:
        if not step.op:
            return None  # said when it was read
        if step.op in ops.names():
            return ops.op_class(step.op)
        hint = _LAYER if step.op in _LAYERS else did_you_mean(step.op, [*ops.names(), *WORDS, *scope.names])
        self._found.append(errors.UnknownOp(span=step.op_span, op=step.op, hint=hint))
        return None

    def _id(self, kind: type[Op]) -> str:
        self._names[kind.name] += 1
        count = self._names[kind.name]
        return kind.name if count == 1 else f"{kind.name}{count}"

    def _node(self, step: Step, name: str, op: Op, inputs: Outputs) -> Outputs:
        if len(self._found) >= MOST_TOLD:
            raise SpecError(*self._found)
        self._connect(len(inputs) + 1, step.span)
        places = {e.key: e.value.span for e in step.args} if isinstance(step.args, Table) else {}
        self._nodes.append(Node(name, op, inputs, step.span, self._site(op), places))
        return (name,)

    def _site(self, op: Op) -> int:
        """Counts ops that could draw the same samples: the same op of the same model, whatever its name here."""
        asked = (model.shared for name in op.models.values() if (model := self._models.of(name)))
        kind = (op.name, *(f"{shared.backend} {shared.model}" for shared in asked))
        self._sites[kind] += 1
        return self._sites[kind] - 1

    def _op(
        self, step: Step, kind: type[Op], args: Table, scope: Scope, made: Mapping[str, Any], sound: bool
    ) -> Op | None:
        """The op with its arguments. `made` are its blocks and conditions by parameter."""
        before = len(self._found)
        rest = Table(tuple(self._given(entry, made, scope) for entry in args), args.span)
        if not self._sound_since(before):
            return None
        parts = {f"\0{key}.{i}": part for key, held in made.items() for i, part in enumerate(_several(held))}
        op = validated(kind, rest, step.op, self._found, strict=True, made=parts)
        given = plain(rest).get("model")
        asked = op.models.items() if op else [("model", given)] if isinstance(given, str) else ()
        names = {key: self._model(span_at(rest, [key]), name, scope) for key, name in asked if name}
        changed = {key: name for key, name in names.items() if op and name != op.models.get(key)}
        return op.model_copy(update=changed) if op and sound and changed else op if sound else None

    def _given(self, entry: Entry, made: Mapping[str, Any], scope: Scope) -> Entry:
        """The entry with what stands for its blocks and conditions, or with its params put in."""
        if entry.key in made:
            keys = [Leaf(f"\0{entry.key}.{i}", entry.value.span) for i, _ in enumerate(_several(made[entry.key]))]
            many = isinstance(made[entry.key], tuple)
            return replace(entry, value=Listing(tuple(keys), entry.value.span) if many else keys[0])
        value = bound(entry.value, scope.bound)
        self._found += [unknown(str(leaf.value)[1:], leaf.span, scope.params) for leaf in unbound(value)]
        value = unescaped(value)
        return entry if value is entry.value else replace(entry, value=value)

    def _model(self, span: Span, name: str, scope: Scope) -> str:
        known = scope.model(name, span)
        if known is None and scope.models is not None:
            hint = did_you_mean(name, scope.models) or _DECLARE.format(name=name)
            self._found.append(errors.UnknownModel(span=span, model=name, hint=hint))
        return known or name

    # ---- blocks and conditions

    def _conditions(self, kind: type[Op], args: Table, scope: Scope) -> dict[str, Condition]:
        """The conditions by parameter; another one in the place of each that is wrong, which has been said then."""
        wanted = parameters_with(kind, Condition)
        entries = [e for e in args if e.key in wanted and not _is_null(e.value)]
        read = {e.key: scope.condition(bound(e.value, scope.bound), self._found) for e in entries}
        return {e.key: read[e.key] or Condition(Constant(True, e.value.span), e.value.span) for e in entries}

    def _blocks(self, kind: type[Op], args: Table, scope: Scope, owner: str) -> dict[str, Any]:
        """The blocks by parameter: one, or a tuple for parameters with several."""
        if not issubclass(kind, Control):
            return {}
        if kind.limits_spending:
            scope = scope.limiting(frozenset(e.key for e in args))
        blocks: dict[str, Any] = {}
        for key, many in parameters_with(kind, Region).items():
            entry = args.get(key)
            if entry is None or _is_null(entry.value):
                continue
            if not many:
                blocks[key] = self._block(entry.value, f"{owner}.{key}", scope)
            elif kind.unrolled:
                items = args.get(kind.unrolled[0])
                listed = _items(bound(items.value, scope.bound) if items else None)
                self._limit_steps(entry.value.span, len(listed))
                scopes = [scope.binding(kind.unrolled[1], item) for item in listed]
                blocks[key] = tuple(self._block(entry.value, f"{owner}.{i}", s) for i, s in enumerate(scopes))
            else:
                branches = [i if isinstance(i, Listing) else Listing((i,), i.span) for i in _items(entry.value)]
                blocks[key] = tuple(self._block(b, f"{owner}.{i}", scope) for i, b in enumerate(branches))
        return blocks

    def _block(self, value: Located, arrives: str, scope: Scope) -> Region:
        self._steps_seen += 1  # a block costs about what a step does
        around, self._nodes = self._nodes, []
        outputs = self._stage(self._steps(value), (arrives,), scope)
        region = Region(tuple(self._nodes), outputs, arrives)
        self._nodes = around
        return region

    def _steps(self, value: Located) -> Sequence:
        if isinstance(value, Listing):
            return sequence(value, self._found)
        hint = f"write `[{value.value}]`" if isinstance(value, Leaf) and isinstance(value.value, str) else ""
        hint = "begin each step with `- `" if isinstance(value, Table) else hint
        self._found.append(wrong(value, "a block", "a list of steps", hint))
        return Sequence((), value.span)

    # ---- other specs

    def _use(self, step: Step, inputs: Outputs, scope: Scope) -> Outputs:
        before = len(self._found)
        spec = self._loaded(step, scope)
        if spec is None:
            return self._node(step, self._id(Unreadable), Unreadable(), inputs)
        self._unset(spec)
        stem = spec.source.name.rsplit("/", 1)[-1].split(".")[0]
        limits = scope.limits | spec.budget.limited
        inner = Scope(spec, self._models.declared(spec, f"{stem}."), limits, outer=scope)
        used = Label(step.op_span, "used here")
        self._found += [replace(d, also=(used,)) if isinstance(d, errors.MissingParam) else d for d in spec.mistakes]
        if not spec.budget.limited and spec.budget.seconds is None:
            return self._stage(spec.pipeline, inputs, inner)
        kind = ops.op_class("budget")
        name = self._id(kind)
        self._steps_seen += 1  # a block costs about what a step does
        around, self._nodes = self._nodes, []
        outputs = self._stage(spec.pipeline, (name + ".do",), inner)
        block, self._nodes = Region(tuple(self._nodes), outputs, name + ".do"), around
        limit = spec.budget.model_dump(exclude={"on_exhausted"}, exclude_none=True)
        op = kind.model_validate({**limit, "do": block}) if self._sound_since(before) else Unreadable()
        return self._node(step, name, op, inputs)

    def _loaded(self, step: Step, scope: Scope) -> Spec | None:
        wanted = validated(_Use, _use_arguments(step), USE, self._found)
        if wanted is None:
            return None
        given = bound(_with(step), scope.params)
        assert isinstance(given, Table)
        place = span_at(step.args, ["spec"])
        spec = self._file(wanted.spec, place.source, given)
        if isinstance(spec, tuple):
            self._found += [d if d.span else replace(d, span=place) for d in spec]
            return None
        chain = [s.spec.source.name for s in scope.chain()]
        if spec.source.name in chain:
            shown = [*chain[chain.index(spec.source.name) :: -1], spec.source.name]
            self._found.append(errors.UseCycle(span=place, chain=" → ".join(shown)))
            return None
        return spec

    def _file(self, path: str, beside: Source, given: Table) -> Spec | tuple[Diagnostic, ...]:
        """The spec at a path, or what is wrong with it; each is read once."""
        key = (path, beside.name, given)
        if key not in self._specs:
            try:
                self._specs[key] = self._load(path, beside, given)
            except SpecError as error:
                self._specs[key] = error.diagnostics
        return self._specs[key]


class _Use(BaseModel):
    """The arguments of `use`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str
    params: dict[str, Any] = Field({}, alias="with")


def _use_arguments(step: Step) -> Located:
    if isinstance(step.args, Table):
        return step.args
    return Table((Entry("spec", step.op_span, step.args),), step.args.span)


def _with(step: Step) -> Table:
    entry = step.args.get("with") if isinstance(step.args, Table) else None
    return entry.value if entry and isinstance(entry.value, Table) else Table((), step.span)


_LAYERS = ("parallel", "layer", "concurrent", "ensemble", "fan_out")
_LAYER = "steps side by side are a list in the list: `- [generate: small, generate: big]`"
_DECLARE = "declare it: `models: {{{name}: {{backend: llamacpp, model: embedded}}}}`"


def _arguments(step: Step, kind: type[Op]) -> Table:
    """The arguments by name; one without a name is the main one, or the block if it is a list."""
    match step.args:
        case Table(entries=()):
            return replace(step.args, span=step.op_span)
        case Table() if _holds_steps(step.args, kind):
            key = next(iter(parameters_with(kind, Region)))
        case Table():
            return step.args
        case Listing() if blocks := parameters_with(kind, Region):
            key = next(iter(blocks))
        case _:
            key = kind.main
    return Table((Entry(key, step.op_span, step.args),), step.args.span)


def _holds_steps(args: Table, kind: type[Op]) -> bool:
    """Whether steps are written where the arguments of a form with one block should be."""
    parameters = {field.alias or name for name, field in kind.model_fields.items()}
    return list(parameters_with(kind, Region).values()) == [False] and all(
        e.key in ops.names() and e.key not in parameters for e in args
    )


def _several(part: Any) -> tuple[Any, ...]:
    return part if isinstance(part, tuple) else (part,)


def _items(value: Located | None) -> tuple[Located, ...]:
    return value.items if isinstance(value, Listing) else ()


def _is_null(value: Located) -> bool:
    return isinstance(value, Leaf) and value.value is None
