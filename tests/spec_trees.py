"""Random spec trees: located values of the shape of a spec, with lets, control forms, choices and params."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archc.source import Source
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Range, Table
from tests.vocabularies import Words

NOWHERE = Source("", "").span()


VOCABULARY = Words()


# ---- trees


def located(value: Any) -> Located:
    """The located form of dicts, lists and scalars, without places; what is located already stays."""
    match value:
        case Leaf() | Listing() | Table() | Choice():
            return value
        case dict():
            return Table(tuple(Entry(key, NOWHERE, located(inner)) for key, inner in value.items()), NOWHERE)
        case list():
            return Listing(tuple(map(located, value)), NOWHERE)
        case _:
            return Leaf(value, NOWHERE)


def choice(*options: Any) -> Choice:
    return Choice(tuple(map(located, options)), NOWHERE)


def span(lo: float, hi: float, step: float | None) -> Choice:
    return Choice((), NOWHERE, Range(lo, hi, step))


def bare(value: Located) -> Any:
    """The tree without places, to compare."""
    match value:
        case Leaf():
            return type(value.value).__name__, repr(value.value)
        case Listing():
            return "list", *map(bare, value.items)
        case Table():
            return "table", *((entry.key, bare(entry.value)) for entry in value)
        case Choice():
            return "choice", repr(value.range), *map(bare, value.options)


def by_key(tree: Any) -> Any:
    """A bare tree whose root does not tell the order of its keys."""
    return (tree[0], *sorted(tree[1:], key=lambda entry: entry[0])) if tree[0] == "table" else tree


def normal(root: Located, condition: Callable[[str], str | None]) -> Any:
    """The tree as `.arch` says it: short forms written out, one-step lists as steps, conditions in canonical text."""
    assert isinstance(root, Table)
    known = {e.key: e.value for e in root if e.value not in (Table((), e.value.span), Listing((), e.value.span))}
    made: dict[str, Any] = {key: bare(value) for key, value in known.items()}
    if "require" in known:
        made["require"] = bare(_conditions(known["require"], condition))
    if isinstance(models := known.get("models"), Table):
        made["models"] = {e.key: dict(bare(e.value)[1:]) for e in models}
    made["pipeline"] = _Normal(condition).sequence(known["pipeline"])
    return made


def _conditions(value: Located, condition: Callable[[str], str | None]) -> Located:
    match value:
        case Leaf(value=str(text)):
            return Leaf(condition(text) or text, NOWHERE)
        case Listing():
            return located([_conditions(item, condition) for item in value.items])
        case Choice(options=options) if options:
            return choice(*(_conditions(option, condition) for option in options))
    return value


@dataclass(frozen=True)
class _Normal:
    condition: Callable[[str], str | None]

    def sequence(self, value: Located) -> Any:
        assert isinstance(value, Listing)
        return ["sequence", *map(self.stage, value.items)]

    def branch(self, value: Located) -> Any:
        """A step; a list of one is its step."""
        if not isinstance(value, Listing):
            return self.stage(value)
        sequence = self.sequence(value)
        return sequence[1] if len(sequence) == 2 and sequence[1][0] != "layer" else sequence

    def stage(self, value: Located) -> Any:
        match value:
            case Listing():
                return ["layer", *map(self.branch, value.items)]
            case Choice():
                return ["choice", *map(self.branch, value.options)]
            case Table(entries=(Entry("let", _, Table() as named),)):
                return ["let", *((e.key, self.branch(e.value)) for e in named)]
            case Table(entries=(entry,)):
                args = self.arguments(entry)
                return ["step", entry.key, args] if args else ["word", entry.key]
            case Leaf(value=str(name)):
                return ["word", name]
        raise AssertionError(value)

    def arguments(self, entry: Entry) -> dict[str, Any]:
        op, value = entry.key, entry.value
        if isinstance(value, Leaf) and value.value is None:
            return {}
        if not isinstance(value, Table):
            regions = VOCABULARY.regions(op) if isinstance(value, Listing) else ()
            value = Table((Entry(regions[0] if regions else VOCABULARY.main(op), NOWHERE, value),), NOWHERE)
        return {e.key: self.argument(op, e) for e in value}

    def argument(self, op: str, entry: Entry) -> Any:
        if entry.key in VOCABULARY.regions(op):
            return self.sequence(entry.value)
        if entry.key in VOCABULARY.region_lists(op) and isinstance(entry.value, Listing):
            return [self.sequence(item) for item in entry.value.items]
        if entry.key in VOCABULARY.conditions(op):
            return bare(_conditions(entry.value, self.condition))
        return bare(entry.value)


# ---- strategies

WORDS = st.sampled_from(["small", "big", "x1", "a_b", "top", "when", "keep", "true", "null", "param", "do", "n", "or"])
_TRICKY = (
    """|no|~|1|1.5|1e5|.5|+1|0x1F|1..10|-|- a|a: b|a #b|#|a,b|[a]|{q}|${V:-x}|$k|%|@|`|'|"|don't|say "x"|a\\b|"""
    """a\nb|a\n|\na|a\n\nb\n|a\n\n| a\nb|a \nb|\ta\nb|a\n\tb|a\n  b\nc|\n|\t|\r|\r\n|é|日本|\x07|\x85|\u2028|\ufeff|"""
    """😀|---|...|<<|=|?|? a|!x|&x|*x|a:|:a|http://x:80/y|null|True|NULL|false|1_000|1.2.3|2024-01-01|a\"\"\"b|"""
    """a\\\"\"\"\nb|a\\|a\nb\\|(x)|x -> y|80%|1 2|_|__|a-b|a.b|k * w <= 24|agreement >= 0.8|text"""
)
TRICKY = st.sampled_from(_TRICKY.split("|"))
STRINGS = st.one_of(WORDS, TRICKY, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
INTS = st.one_of(st.integers(-5, 300), st.integers(-(10**38), 10**38))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.none(), st.booleans(), INTS, FLOATS, STRINGS)
RANGES = st.one_of(
    st.tuples(st.integers(-9, 9), st.integers(0, 99), st.integers(1, 9)).map(lambda t: span(t[0], t[0] + t[1], t[2])),
    st.tuples(st.floats(-1, 0), st.floats(0, 9), st.none() | st.floats(0.125, 2)).map(lambda t: span(*t)),
)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    options = st.lists(inner, min_size=1, max_size=3).map(lambda options: choice(*options))
    tables = st.dictionaries(st.one_of(WORDS, TRICKY.filter(bool)), inner, max_size=3)
    return st.one_of(st.lists(inner, max_size=3), tables, options)


VALUES = st.recursive(st.one_of(SCALARS, RANGES), _nested, max_leaves=6)
ANY_TREE = VALUES.map(located)
"""Trees of any shape at all."""

NAMES = st.sampled_from(["small", "big", "drafts", "writer", "k", "my model", "when", "a-b"])
CONDITION = st.sampled_from(
    ["agreement >= 0.8", "not (verified >= 1)", "count > $k and true", "agreement>=80%", "a ==", ""]
)
ARG = st.one_of(st.sampled_from(["small", "$writer", 4, 0.5, True, "Solve:\n{question}\n\nBriefly."]), VALUES)
ARGS = st.dictionaries(st.sampled_from(["model", "n", "temperature", "prompt", "stop", "kind", "by"]), ARG, max_size=5)
OPS = st.sampled_from(["generate", "critique", "fuse", "rank", "extract", "vote", "repeater"])
STEP = st.one_of(
    st.sampled_from(["drafts", "keep", "abstain", "vote", "generate"]),
    st.tuples(OPS, ARGS.filter(bool)).map(lambda pair: {pair[0]: pair[1]}),
    st.tuples(OPS, st.sampled_from(["small", "number", 3, "$k"])).map(lambda pair: {pair[0]: pair[1]}),
)


YES = st.booleans()
SMALL = st.integers(1, 9) | RANGES
FORMS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "repeat": {"times": SMALL, "until": CONDITION},
    "when": {"condition": CONDITION},
    "each": {},
    "until": {"condition": CONDITION, "max": SMALL, "batch": SMALL},
    "race": {"condition": CONDITION, "first": SMALL},
    "cascade": {"models": st.just(["small", "big"]), "until": CONDITION},
    "deadline": {"seconds": SMALL},
    "budget": {"calls": SMALL, "tokens": SMALL},
    "fold": {"window": SMALL},
    "explore": {"model": ARG, "width": ARG},
}
USE = st.fixed_dictionaries({"spec": STRINGS}, optional={"with": ARGS}).map(lambda args: {"use": args})


@st.composite
def _stage(draw: st.DrawFn, depth: int) -> Any:
    """A step, a layer, alternatives or a control form."""
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind < 5:
        return draw(STEP)
    if kind == 5:
        return [draw(_branch(depth)) for _ in range(draw(st.integers(2, 3)))]
    if kind == 6:
        options = [draw(_branch(depth)) for _ in range(draw(st.integers(1, 3)))]
        return choice(*options, *([[]] if draw(YES) else []))
    if kind == 7:
        return draw(USE)
    op = draw(st.sampled_from(sorted(FORMS)))
    args = {key: draw(values) for key, values in FORMS[op].items() if draw(YES)}
    if op == "race":
        return {op: args | {"branches": [draw(_block(depth)) for _ in range(draw(st.integers(1, 2)))]}}
    if op == "when":
        other = {"else": draw(_block(depth))} if draw(YES) else {}
        return {op: {"condition": draw(CONDITION), "then": draw(_block(depth))} | other}
    do = draw(_block(depth))
    return {op: args | {"do": do} if args or draw(YES) else do}


@st.composite
def _branch(draw: st.DrawFn, depth: int) -> Any:
    """A single step, or at least two."""
    if draw(YES):
        return draw(STEP)
    return [draw(_stage(depth - 1)) for _ in range(draw(st.integers(2, 3)))]


@st.composite
def _block(draw: st.DrawFn, depth: int) -> Any:
    """A sequence, perhaps with lets at its head."""
    stages = [draw(_stage(depth - 1)) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.integers(0, 3)):
        return stages
    names = draw(st.lists(st.sampled_from(["old", "seen", "drafts"]), min_size=1, max_size=2, unique=True))
    return [{"let": {name: [draw(_stage(depth - 1))] for name in names}}, *stages]


MODEL = st.fixed_dictionaries(
    {"backend": st.sampled_from(["openai", "simulated"])},
    optional={"model": STRINGS, "base_url": STRINGS, "price": ARG, "slots": st.integers(1, 9)},
)
SPEC = st.fixed_dictionaries(
    {"pipeline": _block(3)},
    optional={
        "name": STRINGS,
        "rules": st.sampled_from(["open", "archon"]),
        "params": st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
        "models": st.dictionaries(NAMES, MODEL, min_size=1, max_size=3),
        "budget": st.fixed_dictionaries({}, optional={"calls": INTS, "usd": FLOATS}).filter(bool),
        "require": st.lists(CONDITION, min_size=1, max_size=2),
    },
).map(located)
"""Trees that both forms can say."""
