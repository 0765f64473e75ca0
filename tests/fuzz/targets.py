"""What is fuzzed: functions that take any bytes, and give how far these came.

A mistake must be a SpecError or a RunError whose diagnostics can be shown in every form; whatever else is raised is a
crash. A spec is one text, and after lines `=== NAME` the texts of the files that it may use.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping

from archc import api, lowering, passes
from archc.diagnostics import Diagnostic, RunError, SpecError, render, render_all
from archc.planning.plan import Plan
from archc.planning.plan import plan as planned
from archc.source import Source
from archc.spec import conditions
from archc.spec.foreign.archon import Semantics, read_archon
from archc.spec.foreign.archon_export import write_archon
from archc.spec.foreign.moa import read_moa
from archc.spec.foreign.optillm import read_optillm
from archc.spec.located import Located, Table
from archc.spec.model import Spec
from archc.spec.reading import read_spec
from archc.spec.space import points as spaces
from archc.spec.space.choices import closed, holes, is_open
from archc.spec.space.requirements import broken

Target = Callable[[bytes], str]
"""Gives the last stage that was reached: `read`, `closed`, `lowered` or `planned`."""

ENVIRON = {"ARCHC_CONFIG": "/nonexistent/archc.toml", "BEDROCK_BASE_URL": "http://localhost:9/v1"}
BESIDE = re.compile(r"^=== *([^\n]{1,80})\n", re.MULTILINE)


class Reached:
    """Follows an input through the stages, and tells its mistakes in every form."""

    def __init__(self) -> None:
        self.stage = "refused"

    def __enter__(self) -> Reached:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if isinstance(error, SpecError):
            assert error.diagnostics
            told(error.diagnostics)
        elif isinstance(error, RunError):
            told([error.diagnostic])
        return isinstance(error, SpecError | RunError)


def told(diagnostics: Iterable[Diagnostic]) -> None:
    """Shows diagnostics in all forms."""
    known = tuple(diagnostics)
    for diagnostic in known:
        assert "\n" not in render(diagnostic, "concise")
        json.dumps(diagnostic.as_json(), ensure_ascii=False, allow_nan=False).encode()
    shown = render_all(known)
    shown.encode()
    assert all(c.isprintable() or c == "\n" for c in shown)


def shown(plan: Plan) -> None:
    api.explain(plan).encode()
    json.dumps(plan.as_json(), allow_nan=False).encode()
    told(plan.warnings)


def spec(data: bytes, end: str) -> str:
    """A spec, closed at random where it is open, all the way to its plan."""
    text, *rest = BESIDE.split(data.decode("utf-8", "replace"))
    files = dict(zip(rest[::2], rest[1::2], strict=True))
    with Reached() as reached:
        source = Source(f"spec.{end}", text)
        root = api.read_document(source).root
        reached.stage = "read"
        if is_open(root):
            space = spaces.space(root)
            space.count()
            point = space.sample(random.Random(0))
            assert space.is_valid(point)
            root = closed(root, point)
            assert not holes(root)
        if unmet := broken(root):
            raise SpecError(*unmet)
        made = read_spec(source, root)
        reached.stage = "closed"
        _lowered(made, files, reached)
    return reached.stage


def _lowered(made: Spec, files: Mapping[str, str], reached: Reached) -> None:
    def load(path: str, beside: Source, given: Table) -> Spec:
        if path not in files:
            return lowering.no_other(path, beside, given)
        return api.parse(Source(path, files[path]), given=given)

    graph = lowering.lower(made, ENVIRON, load)
    reached.stage = "lowered"
    steps = passes.optimise(graph)
    shown(planned(steps[-1].after, steps=steps))
    reached.stage = "planned"


def yaml(data: bytes) -> str:
    return spec(data, "yaml")


def arch(data: bytes) -> str:
    return spec(data, "arch")


def written(data: bytes) -> str:
    """Formats a text in its form, converts it to the other one and back: what it says stays."""
    text = data.decode("utf-8", "replace")
    ends = ("arch", "yaml") if data[:1] == b" " else ("yaml", "arch")
    with Reached() as reached:
        try:
            first = api.read_document(Source(f"spec.{ends[0]}", text))
        except SpecError:
            ends = (ends[1], ends[0])
            first = api.read_document(Source(f"spec.{ends[0]}", text))
        reached.stage = "read"
        formatted = api.formatted(first.root.span.source)
        assert api.formatted(Source(f"spec.{ends[0]}", formatted)) == formatted
        reached.stage = "closed"
        other = api.write_document(first, ends[1])
        reached.stage = "lowered"
        back = api.write_document(api.read_document(Source(f"spec.{ends[1]}", other)), ends[0])
        assert api.formatted(Source(f"spec.{ends[0]}", back)) == back
        reached.stage = "planned"
    return reached.stage


_UNITS = {
    **{"k": conditions.Unit.NUMBER, "s": conditions.Unit.TEXT, "b": conditions.Unit.TRUTH},
    **{"agreement": conditions.Unit.SHARE, "count": conditions.Unit.CANDIDATES, "spent.calls": conditions.Unit.CALLS},
}
_VALUES = {"k": 3, "s": "x", "b": True, "agreement": 0.5, "count": 4, "spent.calls": 7}


def condition(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    source = Source("condition", text)
    with Reached() as reached:
        expr = conditions.parse_condition(text, source.span)
        reached.stage = "read"
        written = conditions.text_of(expr)
        again = conditions.parse_condition(written, lambda start, end: source.span(0, 0))
        assert conditions.text_of(again) == written, written
        conditions.constant(expr)
        found: list[Diagnostic] = []
        unit = conditions.unit_of(expr, _UNITS, found)
        told(found)
        if unit is None or not conditions.names(expr) <= _UNITS.keys():
            assert unit is not None or found
            return reached.stage
        reached.stage = "closed"
        value = conditions.evaluate(conditions.bound(expr, _VALUES), _VALUES)
        assert value == conditions.evaluate(conditions.bound(again, _VALUES), _VALUES)
        reached.stage = "lowered"
    return reached.stage


def _foreign(source: Source, read: Callable[[Source], tuple[Located, list[Diagnostic]]], is_exported: bool) -> str:
    with Reached() as reached:
        root, found = read(source)
        reached.stage = "read"
        told(found)
        if is_exported:
            with Reached():
                json.loads(write_archon(root))
        made = read_spec(source, root)
        reached.stage = "closed"
        _lowered(made, {}, reached)
    return reached.stage


def archon(data: bytes) -> str:
    semantics: Semantics = "compat" if data[:1] == b" " else "fixed"
    source = Source("config.json", data.decode("utf-8", "replace"))
    return _foreign(source, lambda source: read_archon(source, semantics), True)


def optillm(data: bytes) -> str:
    return _foreign(Source("optillm", data.decode("utf-8", "replace")), read_optillm, True)


def moa(data: bytes) -> str:
    return _foreign(Source("moa", data.decode("utf-8", "replace")), read_moa, True)


OPEN = Source(
    "spec.arch",
    """param writer = small
param k = {1 | 2 | 4}
param w = {0..4}
model small = simulated
model big = simulated("big", price={prompt: 0.1, completion: 0.4})
budget calls=200
require k * w <= 8
let drafts = generate(small, n=$k)
drafts -> critique(small)? -> {rank(big, top_k={1..3}) | fuse(big, temperature={0.0..1.0}) | }
  -> repeat(times=2, until=count >= 2) { (keep & fuse(small)) } -> select
""",
)


def assigned(data: bytes) -> str:
    """Lines `--set` and `--choose` on a spec that has choices of every kind."""
    lines = data.decode("utf-8", "replace").split("\n")[:50]
    chosen = dict(line[1:].partition("=")[::2] for line in lines if line.startswith("!"))
    overrides = [line for line in lines if line and not line.startswith("!")]
    with Reached() as reached:
        values = {path: _value(text) for path, text in chosen.items()}
        space = api.space(OPEN, overrides=overrides, choices=values)
        reached.stage = "read"
        made = api.parse(OPEN, overrides, {**values, **space.sample(random.Random(0))})
        reached.stage = "closed"
        _lowered(made, {}, reached)
    return reached.stage


def _value(text: str) -> bool | float | str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str) else text


TARGETS: Mapping[str, Target] = {
    target.__name__: target for target in (yaml, arch, written, condition, archon, optillm, moa, assigned)
}
