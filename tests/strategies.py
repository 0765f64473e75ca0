"""Random specs that are well typed: pipelines of all ops and control forms, with layers and names, as YAML text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from archc.values import OF_CANDIDATES, Facet, Facets

MODELS = ("a", "b", "c")
PROMPTS = ("{question}", "Say it in one line: {question}\n# not a comment", 'ünï "quoted" {question} {{x}}')


@dataclass(frozen=True)
class State:
    """What is known where the next step will stand."""

    candidates: bool = False
    facets: Facets = frozenset()
    """Those of the candidates that are there, or may be."""
    perhaps: bool = False
    """Whether there may be candidates, though that is not sure."""

    def plus(self, *facets: Facet) -> State:
        """With more facets on each candidate."""
        return replace(self, facets=self.facets | set(facets))

    def fresh(self, *facets: Facet) -> State:
        """With new candidates."""
        return State(True, (self.facets - OF_CANDIDATES) | set(facets))

    def among(self, *facets: Facet) -> list[str]:
        """Those of the facets that are known."""
        return [str(facet) for facet in facets if facet in self.facets]


Stage = Any
"""A step or a list, as YAML would load it."""


def _asks(draw: st.DrawFn, **optional: st.SearchStrategy[Any]) -> dict[str, Any]:
    """The arguments of an op that asks a model."""
    args = {key: draw(values) for key, values in (_ALWAYS | optional).items() if draw(_YES)}
    return {"model": draw(st.sampled_from(MODELS)), **args}


_ALWAYS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0, 0.5, 1, 2.0, 1e-9]),
    "max_tokens": st.integers(1, 64),
}
_SMALL = st.integers(1, 4)
_YES = st.booleans()
_CHECKERS = st.sampled_from(["judge", "code", "likelihood"])


Made = tuple[dict[str, Any], State]
"""The arguments of an op, and what is known after it."""


def _generate(draw: st.DrawFn, state: State) -> Made:
    more = {"use_tests": _YES} if Facet.TESTS in state.facets else {}
    texts = {"prompt": st.sampled_from(PROMPTS), "system": st.sampled_from(("Be brief.", ""))}
    stop = st.lists(st.sampled_from(["\n", "#"]), max_size=2)
    args = _asks(draw, n=st.integers(1, 6), batch=_SMALL, stop=stop, logprobs=_YES, **texts, **more)
    return args, state.fresh(Facet.LOGPROB) if args.get("logprobs") else state.fresh()


def _think(draw: st.DrawFn, state: State) -> Made:
    words = {"wait": st.sampled_from(["Wait", ""]), "cue": st.sampled_from(["So:", ""])}
    bounds = {"at_most": st.integers(0, 64), "extend": st.integers(0, 2)}
    return _asks(draw, n=_SMALL, prompt=st.sampled_from(PROMPTS), **bounds, **words), state.fresh()


def _write_tests(draw: st.DrawFn, state: State) -> Made:
    args = _asks(draw, n=_SMALL, repair=_YES, kind=st.sampled_from(["statements", "code"]))
    return args, state.plus(Facet.ASSERTS if args.get("kind") == "code" else Facet.TESTS)


def _critique(draw: st.DrawFn, state: State) -> Made:
    return _asks(draw, by=st.sampled_from(["list", "each"]), repair=_YES), state.plus(Facet.CRITIQUE)


def _rank(draw: st.DrawFn, state: State) -> Made:
    if Facet.SCORE in state.facets and draw(_YES):
        return {"by": "score", "top_k": draw(_SMALL)}, state
    return _asks(draw, top_k=_SMALL, use_critiques=_YES, repair=_YES), state


def _fuse(draw: st.DrawFn, state: State) -> Made:
    return _asks(draw, n=_SMALL, length_control=_YES), state.fresh()


def _refine(draw: st.DrawFn, state: State) -> Made:
    return {**_asks(draw), "by": draw(st.sampled_from(state.among(Facet.CRITIQUE, Facet.VERDICT)))}, state.fresh()


def _verify(draw: st.DrawFn, state: State) -> Made:
    args = _asks(
        draw, votes=st.integers(1, 3), reason=_YES, filter=_YES, repair=_YES, by=_CHECKERS, first_k=st.integers(1, 2)
    )
    if args.get("by") == "likelihood" and not args.get("reason", True):
        args.pop("votes", None)
    scores = not args.get("filter", True) or args.get("by") == "likelihood"
    return args, state.plus(Facet.VERDICT, Facet.SCORE) if scores else state.plus(Facet.VERDICT)


def _evaluate(draw: st.DrawFn, state: State) -> Made:
    if Facet.ASSERTS in state.facets and (Facet.TESTS not in state.facets or draw(_YES)):
        policies = st.sampled_from(["all_pass", "top_k", "first_k", "agreement"])
        args = draw(st.fixed_dictionaries({"policy": policies}, optional={"k": _SMALL, "given": _YES}))
        return {"by": "execution", **args}, state.plus(Facet.SCORE, Facet.VERDICT)
    args = _asks(draw, policy=st.sampled_from(["all_pass", "top_k", "first_k"]), k=_SMALL, repair=_YES)
    return args, state.plus(Facet.SCORE, Facet.VERDICT)


def _score(draw: st.DrawFn, state: State) -> Made:
    if Facet.LOGPROB in state.facets and draw(_YES):
        return {"by": "logprob"}, state.plus(Facet.SCORE)
    by = st.sampled_from(["judge", "reward"])
    return _asks(draw, votes=st.integers(1, 3), repair=_YES, by=by), state.plus(Facet.SCORE)


def _extract(draw: st.DrawFn, state: State) -> Made:
    kind = draw(st.sampled_from(["number", "letter", "boxed", "code", "json", "regex"]))
    pattern = {"pattern": "([0-9]+)"} if kind == "regex" else {}
    return {"kind": kind, "which": draw(st.sampled_from(["last", "first"])), **pattern}, state.plus(Facet.ANSWER)


def _vote(draw: st.DrawFn, state: State) -> Made:
    worths = state.among(Facet.SCORE, Facet.LOGPROB)
    by, ties = st.sampled_from(["majority", *worths]), st.sampled_from(["first", "random", *worths])
    return draw(st.fixed_dictionaries({}, optional={"by": by, "ties": ties})), state


def _select(draw: st.DrawFn, state: State) -> Made:
    worths = ["first", "shortest", "longest", "random", "medoid"]
    worths += state.among(Facet.SCORE, Facet.LOGPROB, Facet.VERDICT)
    args = draw(st.fixed_dictionaries({}, optional={"by": st.sampled_from(worths), "k": _SMALL}))
    if args.get("by") == "medoid" and draw(_YES):
        args["model"] = draw(st.sampled_from(MODELS))
    return args, state


OPS: dict[str, tuple[Callable[[st.DrawFn, State], Made], Callable[[State], bool]]] = {
    "generate": (_generate, lambda state: True),
    "write_tests": (_write_tests, lambda state: True),
    "critique": (_critique, lambda state: state.candidates),
    "rank": (_rank, lambda state: state.candidates),
    "fuse": (_fuse, lambda state: state.candidates),
    "verify": (_verify, lambda state: state.candidates),
    "score": (_score, lambda state: state.candidates),
    "extract": (_extract, lambda state: state.candidates),
    "select": (_select, lambda state: state.candidates),
    "refine": (_refine, lambda state: state.candidates and bool(state.among(Facet.CRITIQUE, Facet.VERDICT))),
    "think": (_think, lambda state: True),
    "evaluate": (_evaluate, lambda state: state.candidates and bool(state.among(Facet.TESTS, Facet.ASSERTS))),
    "vote": (_vote, lambda state: state.candidates and Facet.ANSWER in state.facets),
}
"""How to make a step of each op, and where it may stand. A test says if archc has others."""


def _abstain(draw: st.DrawFn, state: State) -> Made:
    return draw(st.sampled_from([{}, {"say": "No idea."}])), state.fresh()


OPS["abstain"] = (_abstain, lambda state: state.candidates)


def _condition(draw: st.DrawFn, state: State) -> str:
    """One that can be asked of what is known."""
    asked = ["count >= 2", "count * 2 > 3 and not (abstained > 50%)", "round >= 2", "spent.calls >= 3 or false"]
    if Facet.ANSWER in state.facets:
        asked += ["agreement >= 0.6", "margin > 0.3", "entropy < 1", "confidence >= 95%", "distinct == 1"]
    if Facet.VERDICT in state.facets:
        asked.append("verified >= 1")
    if Facet.SCORE in state.facets:
        asked += ["best_score > 0.5", "mean_score >= 0.4"]
    return draw(st.sampled_from(asked))


def _again(state: State) -> State:
    """What is surely known in every round of a loop."""
    return State(state.candidates, state.facets - OF_CANDIDATES, state.perhaps)


@dataclass(frozen=True)
class Room:
    """How much may still be nested, and which models and names can be used."""

    steps: int
    depth: int
    models: tuple[str, ...] = MODELS
    names: tuple[tuple[str, State], ...] = ()

    def inner(self) -> Room:
        """That of a block."""
        return replace(self, steps=max(1, self.steps // 2), depth=self.depth - 1)


def _block(draw: st.DrawFn, state: State, room: Room, fresh: bool = False) -> tuple[list[Stage], State]:
    """A pipeline for a block; one that gives candidates of its own if `fresh`."""
    stages, after = draw(_sequence(state, room.inner()))
    if (fresh and not after.candidates) or not stages:
        stages = [*stages, {"generate": {"model": draw(st.sampled_from(room.models)), "n": draw(_SMALL)}}]
        after = after.fresh()
    return stages, after


def _repeat(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, _again(state), room)
    until = {"until": _condition(draw, after)} if draw(_YES) else {}
    return {"times": draw(st.integers(1, 3)), **until, "do": body}, after


def _when(draw: st.DrawFn, state: State, room: Room) -> Made:
    then, after = _block(draw, state, room)
    args = {"condition": _condition(draw, state), "then": then}
    if draw(_YES):
        args["else"], other = _block(draw, state, room)
    else:
        other = state
    return args, _either([after, other])


def _each(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, state, room)
    return {"do": body}, after


def _until(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, state, room, fresh=True)
    sizes = {"max": draw(st.integers(1, 5)), "batch": draw(st.integers(1, 3))}
    return {"condition": _condition(draw, after), **sizes, "do": body}, after


def _race(draw: st.DrawFn, state: State, room: Room) -> Made:
    made = [_block(draw, state, room, fresh=True) for _ in range(draw(st.integers(2, 3)))]
    after = _either([after for _, after in made])
    condition = {"condition": _condition(draw, after)} if draw(_YES) else {}
    first = {"first": draw(st.integers(1, len(made) - 1))} if draw(_YES) else {}
    return {**condition, **first, "branches": [body for body, _ in made]}, after


def _cascade(draw: st.DrawFn, state: State, room: Room) -> Made:
    models = draw(st.lists(st.sampled_from(room.models), min_size=1, max_size=3, unique=True))
    body, after = _block(draw, state, replace(room, models=(*room.models, "$model")), fresh=True)
    keep = draw(st.sampled_from(["last", "all"]))
    return {"models": models, "until": _condition(draw, after), "keep": keep, "do": body}, after


def _deadline(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, state, room)
    return {"seconds": 1e6, "do": body}, after


def _budget(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, state, room)
    return {draw(st.sampled_from(["calls", "tokens"])): 10**9, "do": body}, after


def _optional(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, state, room)
    return {"do": body}, _either([state, after])


def _fold(draw: st.DrawFn, state: State, room: Room) -> Made:
    body, after = _block(draw, _again(state), room, fresh=True)
    return {"window": draw(st.integers(2, 4)), "do": body}, after


CONTROL: dict[str, tuple[Callable[[st.DrawFn, State, Room], Made], Callable[[State], bool]]] = {
    "repeat": (_repeat, lambda state: True),
    "when": (_when, lambda state: True),
    "each": (_each, lambda state: state.candidates),
    "until": (_until, lambda state: True),
    "race": (_race, lambda state: True),
    "cascade": (_cascade, lambda state: True),
    "deadline": (_deadline, lambda state: True),
    "budget": (_budget, lambda state: True),
    "fold": (_fold, lambda state: state.candidates),
    "optional": (_optional, lambda state: True),
}
"""The same for the ops with blocks."""


@st.composite
def _step(draw: st.DrawFn, state: State, room: Room) -> tuple[Stage, State]:
    """One step that may stand at `state`, and what is known after it."""
    known = [name for name, (_, fits) in OPS.items() if fits(state)]
    if room.depth > 0 and draw(st.integers(0, 3)) == 0:
        op = draw(st.sampled_from([name for name, (_, fits) in CONTROL.items() if fits(state)]))
        args, after = CONTROL[op][0](draw, state, room)
        return {op: args}, after
    if room.names and draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(room.names))
    if state.candidates and draw(st.integers(0, 11)) == 0:
        return "keep", state
    op = draw(st.sampled_from(known))
    args, after = OPS[op][0](draw, state)
    if "model" in args:
        args["model"] = draw(st.sampled_from(room.models))
    return ({op: args} if args else op), after


def _joined(states: list[State]) -> State:
    """What is known after branches that stand side by side."""
    tests = frozenset[Facet]().union(*(s.facets for s in states)) - OF_CANDIDATES
    return State(any(s.candidates for s in states), _common(states) | tests, any(s.perhaps for s in states))


def _either(states: list[State]) -> State:
    """What is known after one of several ways, whichever it was."""
    tests = frozenset.intersection(*(s.facets for s in states)) - OF_CANDIDATES
    perhaps = any(s.candidates or s.perhaps for s in states)
    return State(all(s.candidates for s in states), _common(states) | tests, perhaps)


def _common(states: list[State]) -> Facets:
    full = [s.facets for s in states if s.candidates or s.perhaps]
    return frozenset.intersection(*full) & OF_CANDIDATES if full else frozenset()


@st.composite
def _sequence(draw: st.DrawFn, state: State, room: Room) -> tuple[list[Stage], State]:
    stages: list[Stage] = []
    if room.depth > 0 and draw(st.integers(0, 5)) == 0:
        name = f"v{room.depth}"
        value, after = draw(_sequence(state, room.inner()))
        stages.append({"let": {name: value}})
        room = replace(room, names=(*room.names, (name, after)))
    for _ in range(draw(st.integers(1, max(1, room.steps)))):
        if room.depth > 0 and draw(st.integers(0, 3)) == 0:
            branches = [draw(_branch(state, room.inner())) for _ in range(draw(st.integers(1, 3)))]
            stages.append([stage for stage, _ in branches])
            state = _joined([after for _, after in branches])
        else:
            stage, state = draw(_step(state, room))
            stages.append(stage)
    return stages, state


@st.composite
def _branch(draw: st.DrawFn, state: State, room: Room) -> tuple[Stage, State]:
    if room.steps > 1 and draw(_YES):
        return draw(_sequence(state, room))
    return draw(_step(state, room))


@st.composite
def specs(draw: st.DrawFn, max_steps: int = 6, depth: int = 2, within: dict[str, Any] | None = None) -> str:
    """A spec whose models are simulated; it lowers without errors, though it may well be wasteful.

    `depth` bounds how deep layers and blocks lie in each other. With `within` all of it lies in a block of that step.
    """
    stages, state = draw(_sequence(State(), Room(max_steps, depth)))
    if not state.candidates:
        stages.append({"generate": {"model": draw(st.sampled_from(MODELS)), "n": draw(_SMALL)}})
    if within:
        stages = [{name: {**args, "do": stages} for name, args in within.items()}]
    return dumped(stages, draw(st.sampled_from(["{prompt: 0.5, completion: 2}", ""])))


def dumped(stages: list[Stage], price: str = "") -> str:
    """The text of a spec with this pipeline: block style outside, JSON (which is YAML) inside."""
    own = f", price: {price}" if price else ""
    models = "".join(f"  {name}: {{backend: simulated, model: {name}{own}}}\n" for name in MODELS)
    steps = "".join(f"  - {json.dumps(stage, ensure_ascii=False)}\n" for stage in stages)
    return f"models:\n{models}pipeline:\n{steps}"
