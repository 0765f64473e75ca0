"""Random specs that are well typed: pipelines of all ops, with layers and nested branches, as YAML text."""

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


Made = tuple[dict[str, Any], State]
"""The arguments of an op, and what is known after it."""


def _generate(draw: st.DrawFn, state: State) -> Made:
    more = {"use_tests": _YES} if Facet.TESTS in state.facets else {}
    texts = {"prompt": st.sampled_from(PROMPTS), "system": st.sampled_from(("Be brief.", ""))}
    stop = st.lists(st.sampled_from(["\n", "#"]), max_size=2)
    args = _asks(draw, n=_SMALL, stop=stop, logprobs=_YES, **texts, **more)
    return args, state.fresh(Facet.LOGPROB) if args.get("logprobs") else state.fresh()


def _write_tests(draw: st.DrawFn, state: State) -> Made:
    return _asks(draw, n=_SMALL, repair=_YES), state.plus(Facet.TESTS)


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
    args = _asks(draw, votes=st.integers(1, 3), reason=_YES, filter=_YES, repair=_YES)
    return args, state.plus(Facet.VERDICT) if args.get("filter", True) else state.plus(Facet.VERDICT, Facet.SCORE)


def _evaluate(draw: st.DrawFn, state: State) -> Made:
    args = _asks(draw, policy=st.sampled_from(["all_pass", "top_k", "first_k"]), k=_SMALL, repair=_YES)
    return args, state.plus(Facet.SCORE, Facet.VERDICT)


def _score(draw: st.DrawFn, state: State) -> Made:
    if Facet.LOGPROB in state.facets and draw(_YES):
        return {"by": "logprob"}, state.plus(Facet.SCORE)
    return _asks(draw, votes=st.integers(1, 3), repair=_YES), state.plus(Facet.SCORE)


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
    return draw(st.fixed_dictionaries({}, optional={"by": st.sampled_from(worths), "k": _SMALL})), state


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
    "evaluate": (_evaluate, lambda state: state.candidates and Facet.TESTS in state.facets),
    "vote": (_vote, lambda state: state.candidates and Facet.ANSWER in state.facets),
}
"""How to make a step of each op, and where it may stand. A test says if archc has others."""


@st.composite
def _step(draw: st.DrawFn, state: State) -> tuple[Stage, State]:
    """One step that may stand at `state`, and what is known after it."""
    op = draw(st.sampled_from([name for name, (_, fits) in OPS.items() if fits(state)]))
    args, after = OPS[op][0](draw, state)
    return ({op: args} if args else op), after


def _joined(states: list[State]) -> State:
    """What is known after branches that stand side by side."""
    full = [s.facets for s in states if s.candidates]
    common = frozenset.intersection(*full) & OF_CANDIDATES if full else frozenset()
    tests = frozenset[Facet]().union(*(s.facets for s in states)) - OF_CANDIDATES
    return State(bool(full), common | tests)


@st.composite
def _sequence(draw: st.DrawFn, state: State, steps: int, depth: int) -> tuple[list[Stage], State]:
    stages = []
    for _ in range(draw(st.integers(1, max(1, steps)))):
        if depth and draw(st.integers(0, 3)) == 0:
            branches = [draw(_branch(state, steps // 2, depth - 1)) for _ in range(draw(st.integers(1, 3)))]
            stages.append([stage for stage, _ in branches])
            state = _joined([after for _, after in branches])
        else:
            stage, state = draw(_step(state))
            stages.append(stage)
    return stages, state


@st.composite
def _branch(draw: st.DrawFn, state: State, steps: int, depth: int) -> tuple[Stage, State]:
    if steps > 1 and draw(_YES):
        return draw(_sequence(state, steps, depth))
    return draw(_step(state))


@st.composite
def specs(draw: st.DrawFn, max_steps: int = 6, depth: int = 2) -> str:
    """A spec whose models are simulated; it lowers without errors, though it may well be wasteful.

    `depth` bounds how deep layers lie in layers.
    """
    stages, state = draw(_sequence(State(), max_steps, depth))
    if not state.candidates:
        stages.append({"generate": {"model": draw(st.sampled_from(MODELS)), "n": draw(_SMALL)}})
    return dumped(stages, draw(st.sampled_from(["{prompt: 0.5, completion: 2}", ""])))


def dumped(stages: list[Stage], price: str = "") -> str:
    """The text of a spec with this pipeline: block style outside, JSON (which is YAML) inside."""
    own = f", price: {price}" if price else ""
    models = "".join(f"  {name}: {{backend: simulated, model: {name}{own}}}\n" for name in MODELS)
    steps = "".join(f"  - {json.dumps(stage, ensure_ascii=False)}\n" for stage in stages)
    return f"models:\n{models}pipeline:\n{steps}"
