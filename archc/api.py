"""The verbs of archc, with the real world put in where they need one. The CLI and every program call these."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar

import platformdirs

from archc import errors, lowering, passes
from archc.backends.probe import folder
from archc.calls import Conversation
from archc.diagnostics import Diagnostic, SpecError
from archc.ir.graph import Graph
from archc.keys import key_source
from archc.lowering.models import Noted
from archc.lowering.scope import Loader
from archc.ops import VOCABULARY
from archc.planning import plan as planning
from archc.planning.latency import Prediction, predict, show_prediction
from archc.planning.profile import recall
from archc.planning.show import show_plan
from archc.runtime.engine import Engine, World, connect
from archc.runtime.records import Recorded
from archc.runtime.replay import recorded_run, replayed
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import Listener
from archc.source import Source, Span
from archc.spec import document as documents
from archc.spec.located import Located, Table
from archc.spec.model import Aims, Budget, Spec
from archc.spec.moved import moved
from archc.spec.overrides import override
from archc.spec.params import with_given
from archc.spec.reading import read_aims, read_spec
from archc.spec.space import points as spaces
from archc.spec.space.choices import closed, open_choices
from archc.spec.space.hole import Value
from archc.spec.space.requirements import broken
from archc.spec.yaml import MAX_CHARACTERS

Plan = planning.Plan

T = TypeVar("T")

_NONE: Mapping[str, Value] = MappingProxyType({})


def read(path: str | Path, form: str = "") -> Source:
    """The text of a file, in the form that its name tells unless one is given.

    Raises SpecError if there is none, or far too much.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(4 * MAX_CHARACTERS + 1).decode("utf-8-sig")
    except OSError as error:
        raise SpecError(errors.NoSuchFile(path=str(path), problem=error.strerror or str(error))) from None
    except UnicodeDecodeError:
        raise SpecError(errors.NoSuchFile(path=str(path), problem="it is not UTF-8 text")) from None
    return Source(str(path), text, form)


def parse(
    source: Source | str,
    overrides: Iterable[str] = (),
    choices: Mapping[str, Value] = _NONE,
    given: Table | None = None,
) -> Spec:
    """The spec that a text describes, after `path=value` overrides, with its `choices` closed.

    `given` are values for its params. Its mistakes are on it and told by `lower`. Raises SpecError for a text that is
    no closed spec at all.
    """
    if isinstance(source, str):
        source = Source("<string>", source)
    return _spec(read_document(source), overrides, choices, given)


def _spec(
    document: documents.Document,
    overrides: Iterable[str],
    choices: Mapping[str, Value],
    given: Table | None = None,
) -> Spec:
    root = _changed(document.root, overrides, choices, given)
    if wrong := open_choices(root):
        raise SpecError(wrong)
    if unmet := broken(root):
        raise SpecError(*unmet)
    spec = read_spec(document.root.span.source, root)
    return replace(spec, mistakes=(*document.found, *spec.mistakes))


def space(
    spec: str | Path | Source, *, overrides: Iterable[str] = (), choices: Mapping[str, Value] = _NONE
) -> spaces.Space:
    """The points of a spec that has choices: to be counted, listed and sampled. `choices` closes some of them before.

    Raises SpecError with what is wrong with its choices and requirements; the rest is not looked at.
    """
    source = spec if isinstance(spec, Source) else read(spec)
    return spaces.space(_changed(read_document(source).root, overrides, choices))


def left_of(choices: Mapping[str, Value], source: Source, overrides: Iterable[str]) -> dict[str, Value]:
    """The choices that are still there after overrides: others went with their steps. Raises SpecError."""
    left = {hole.path for hole in space(source, overrides=overrides).holes}
    return {path: value for path, value in choices.items() if path in left}


def closed_text(
    source: Source, *, overrides: Iterable[str] = (), choices: Mapping[str, Value] = _NONE, folder: Path
) -> str:
    """The YAML of a point of a spec, as a closed spec to be put into a folder. Raises SpecError."""
    document = read_document(source)
    root = moved(_changed(document.root, overrides, choices), Path(source.name).parent, folder)
    if isinstance(root, Table):
        root = replace(root, entries=tuple(entry for entry in root if entry.key != "search"))
    return write_document(replace(document, root=root, comments=()), "yaml")


def _changed(
    root: Located, overrides: Iterable[str], choices: Mapping[str, Value], given: Table | None = None
) -> Located:
    root = override(root, overrides)
    return closed(with_given(root, given) if given else root, choices)


def aims(source: Source) -> Aims:
    """What a spec says that a search of it looks for. Raises SpecError."""
    return read_aims(read_document(source).root)


def read_document(source: Source) -> documents.Document:
    """What a text of any form says, with its comments. Raises SpecError."""
    return documents.read_document(source, VOCABULARY)


def write_document(document: documents.Document, form: str) -> str:
    """The canonical text of a document in a form, with its comments. Raises SpecError for what has no words there."""
    return documents.write_document(document, form, VOCABULARY)


def formatted(source: Source) -> str:
    """The canonical text of a spec in its own form. Raises SpecError."""
    return documents.formatted(source, VOCABULARY)


def lower(spec: Spec, environ: Mapping[str, str] | None = None) -> Graph:
    """The graph that a spec means, with the specs that it uses. Raises SpecError with all mistakes of meaning."""
    return lowering.lower(spec, os.environ if environ is None else environ, _used)


def _used(path: str, beside: Source, given: Table) -> Spec:
    """The spec at a path that another one names; relative ones begin in the folder of that."""
    return parse(read(_beside(path, beside)), given=given)


def _beside(path: str, beside: Source) -> Path:
    return Path(beside.name).parent / path


def optimise(graph: Graph, skip: Collection[str] = ()) -> Graph:
    """An equal graph that costs no more. `skip` names passes to leave out."""
    steps = passes.optimise(graph, skip)
    return steps[-1].after if steps else graph


def plan(graph: Graph, question_tokens: int = planning.QUESTION_TOKENS) -> Plan:
    """The bounds of a graph, for questions of at most so many tokens."""
    return planning.plan(graph, question_tokens)


def compile(
    spec: str | Path | Source,
    *,
    overrides: Iterable[str] = (),
    choices: Mapping[str, Value] = _NONE,
    question_tokens: int = planning.QUESTION_TOKENS,
    skip: Collection[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """From a file (or a Source) to a plan that is ready to run: read, parse, lower, optimise, plan.

    Raises SpecError with everything that is wrong.
    """
    source = spec if isinstance(spec, Source) else read(spec)
    files: dict[str, str] = {}
    variables = Noted(os.environ if environ is None else environ)

    def used(path: str, beside: Source, given: Table) -> Spec:
        other = read(_beside(path, beside))
        files[other.name] = other.text
        return parse(other, given=given)

    plan = _compiled(parse(source, overrides, choices), variables, question_tokens, skip, used)
    recipe = {
        "spec": [source.name, source.text, source.form],
        "files": files,
        "set": list(overrides),
        "choose": dict(choices),
        "skip": list(skip),
        "passes": [step.name for step in plan.steps],
        "environ": variables.noted,
        "question_tokens": question_tokens,
    }
    return replace(plan, recipe=recipe)


def recompile(recipe: Mapping[str, Any]) -> Plan:
    """The plan of a recipe, from nothing but what is in it. Raises SpecError where this archc reads it otherwise.

    Passes that its archc did not have are left out: the journal may lack what they would ask.
    """
    files = recipe["files"]

    def used(path: str, beside: Source, given: Table) -> Spec:
        name = str(_beside(path, beside))
        return parse(Source(name, files.get(name, "")), given=given)

    spec = parse(Source(*recipe["spec"]), recipe["set"], recipe["choose"])
    known = recipe.get("passes", passes.FIRST)
    skip = [*recipe["skip"], *(run.__name__ for run in passes.ORDER if run.__name__ not in known)]
    plan = _compiled(spec, recipe["environ"], recipe["question_tokens"], skip, used, will_ask=False)
    return replace(plan, recipe=recipe)


def _compiled(
    spec: Spec,
    environ: Mapping[str, str] | None,
    question_tokens: int = planning.QUESTION_TOKENS,
    skip: Collection[str] = (),
    load: Loader | None = None,
    will_ask: bool = True,
) -> Plan:
    graph = lowering.lower(spec, os.environ if environ is None else environ, load or _used, will_ask)
    steps = passes.optimise(graph, skip)
    return planning.plan(steps[-1].after if steps else graph, question_tokens, steps)


@dataclass(frozen=True)
class Checked:
    """What is known of a spec that has nothing wrong with it."""

    plans: tuple[Plan, ...]
    """One; of a spec with choices, those of points that together take every option."""
    warnings: tuple[Diagnostic, ...]
    """Of every one of them."""
    space: spaces.Space | None
    """The choices, if there are any."""


def check(
    spec: str | Path | Source,
    *,
    overrides: Iterable[str] = (),
    choices: Mapping[str, Value] = _NONE,
    environ: Mapping[str, str] | None = None,
) -> Checked:
    """Everything that can be known of a spec without a call, with choices left open or not.

    Raises SpecError with everything that is wrong.
    """
    source = spec if isinstance(spec, Source) else read(spec)
    document = read_document(source)
    whole = spaces.space(_changed(document.root, overrides, choices))
    if not whole.holes:
        plan = _compiled(_spec(document, overrides, choices), environ)
        return Checked((plan,), plan.warnings, None)
    plans: list[Plan] = []
    wrong: dict[tuple[str, Span | None], Diagnostic] = {}
    for point in whole.covering(Random(0), max(2, min(200, _LOOKED_AT // max(1, len(source.text))))):
        try:
            plans.append(_compiled(_spec(document, overrides, {**choices, **point}), environ))
        except SpecError as error:
            wrong = {(d.name, d.span): d for d in error.diagnostics} | wrong
    if wrong:
        raise SpecError(*wrong.values())
    shared = [w for w in plans[0].warnings if all(w in plan.warnings for plan in plans[1:])]
    return Checked(tuple(plans), tuple(shared), whole)


_LOOKED_AT = 200_000
"""Characters of all the points of an open spec that are compiled to check it."""


def explain(plan: Plan) -> str:
    """The graph, what the passes did to it, what it will cost, and how long it takes if that was measured, as text."""
    expected = predicted(plan)
    return show_plan(plan) + (f"\n{show_prediction(plan, expected)}" if expected else "")


def predicted(plan: Plan) -> Prediction | None:
    """How long a question will take; None if some model of the plan was never measured (`archc profile`)."""
    models = [plan.graph.model(name) for name in plan.graph.asked]
    measured = {model.name: profile for model in models if (profile := recall(model, folder().parent))}
    return predict(plan, measured)


def default_journal() -> Path:
    """Where calls are kept unless told otherwise: `ARCHC_JOURNAL`, or a file in the user's data folder."""
    return Path(os.environ.get("ARCHC_JOURNAL") or platformdirs.user_data_path("archc") / "journal.sqlite")


def engine(*, seed: int = 0, journal: Path | None = None, budget: Budget | None = None) -> Engine:
    """For several plans that share a journal, a budget, backends and their limits: see `session`."""
    return Engine(_world(), seed=seed, journal=journal, budget=budget)


def session(
    plan: Plan,
    *,
    seed: int = 0,
    journal: Path | None = None,
    budget: Budget | None = None,
    listeners: Sequence[Listener] = (),
    name: str = "",
    engine: Engine | None = None,
) -> Session:
    """For many questions: `async with session(plan) as s: await s.answer(…)`. Without `journal` nothing is kept.

    A `name` goes on with the run of that name if it has not ended (`Session.end`): what it spent stays spent. In an
    open `engine` it shares that one's journal and budget, which are not given again.
    """
    world = _world()
    return Session(
        plan, world, seed=seed, journal=journal, budget=budget, listeners=listeners, name=name, engine=engine
    )


def _world() -> World:
    return World(time.monotonic, asyncio.sleep, key_source(os.environ), connect, time.time)


def recorded(run: str, journal: Path | None = None) -> tuple[Plan, Recorded]:
    """The plan of a run of the journal, and what it was asked. Raises RunError if the journal has no such run."""
    told = recorded_run(journal or default_journal(), run)
    assert told.recipe
    return recompile(told.recipe), told


async def replay(
    run: str, journal: Path | None = None, listeners: Sequence[Listener] = ()
) -> AsyncIterator[tuple[Run, bool | None]]:
    """A run of the journal told again without models or servers: each query's Run, and whether it is what it was.

    None stands for a query that had not ended. Listeners hear each query's events, and `left`: the candidates that
    leave each node. Raises RunError if the journal has no such run or lacks a call.
    """
    plan, told = recorded(run, journal)
    async for one in replayed(plan, told, journal or default_journal(), asyncio.sleep, listeners):
        yield one


async def run(
    plan: Plan,
    question: str | Conversation,
    *,
    seed: int = 0,
    journal: Path | None = None,
    listeners: Sequence[Listener] = (),
) -> Run:
    """Answers one question. Failures are in the Run. Raises RunError if a backend cannot be started."""
    async with session(plan, seed=seed, journal=journal, listeners=listeners) as open_session:
        return await open_session.answer(question)


def run_sync(
    plan: Plan,
    question: str | Conversation,
    *,
    seed: int = 0,
    journal: Path | None = None,
    listeners: Sequence[Listener] = (),
) -> Run:
    """`run` for programs without an event loop."""
    return run_loop(run(plan, question, seed=seed, journal=journal, listeners=listeners))


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` in an event loop of its own: uvloop's where it is installed, which is faster."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
