"""Random spaces: what is counted is what is listed, and every point closes its spec."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from archc.source import Source
from archc.spec.located import Located, plain
from archc.spec.space.choices import closed, holes, is_open
from archc.spec.space.points import space
from archc.spec.yaml import read_yaml


class Choice(list[Any]):
    """Options, to be written with the tag."""


def dumped(value: object) -> str:
    match value:
        case Choice():
            return f"!choice [{', '.join(map(dumped, value))}]"
        case list():
            return f"[{', '.join(map(dumped, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {dumped(inner)}' for key, inner in value.items())}}}"
        case _:
            return json.dumps(value)


OPS = st.sampled_from(["generate", "fuse", "vote", "rank"])
SCALARS = st.one_of(st.integers(0, 3), st.sampled_from(["a", "b", "1", "#1", True, None, 0.5]))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, min_size=1, max_size=3).map(Choice), max_leaves=4)
STEPS = st.one_of(OPS, st.builds(lambda op, args: {op: args}, OPS, st.dictionaries(st.sampled_from("nk"), VALUES)))


def _stages(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=2)
    options = st.lists(
        st.one_of(inner.filter(lambda o: not isinstance(o, list) or isinstance(o, Choice)), lists),
        min_size=1,
        max_size=3,
    )
    blocks = st.builds(lambda inner: {"repeat": {"times": 2, "do": inner}}, lists)
    return st.one_of(options.map(Choice), st.lists(inner, min_size=1, max_size=2), blocks)


STAGES = st.recursive(STEPS, _stages, max_leaves=5)
PARAMS = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(0, 4), min_size=1, max_size=4).map(Choice), max_size=3
)
CONDITIONS = st.sampled_from(
    ["{0} <= {1}", "{0} * {1} > 2", "{0} > 0 or {1} == 0", "{0} + {1} + {0} < 6", "not {0} == {1}"]
)


@st.composite
def roots(draw: st.DrawFn) -> Located:
    params = draw(PARAMS)
    names = st.sampled_from(sorted(params) or ["1"])
    require = [c.format(draw(names), draw(names)) for c in draw(st.lists(CONDITIONS, max_size=2))]
    spec = {"params": params, "require": require, "pipeline": draw(st.lists(STAGES, max_size=3))}
    return read_yaml(Source("x.yaml", dumped(spec)))


@settings(max_examples=150, deadline=None)
@given(roots(), st.integers(0, 99))
def test_what_is_counted_is_what_is_listed(root: Located, seed: int) -> None:
    here = space(root)
    points, valid = list(itertools.islice(here.points(), 500)), list(itertools.islice(here.valid(), 500))

    assert here.raw is not None
    assert len(points) == min(here.raw, 500)
    assert len(valid) == min(here.count() or 0, 500)
    assert len({json.dumps(point) for point in points}) == len(points)
    if len(points) < 500:
        assert valid == [point for point in points if here.is_valid(point)]
    if valid:
        drawn = here.sample(random.Random(seed))
        assert here.is_valid(drawn)
        assert drawn in valid or len(valid) == 500


@settings(max_examples=150, deadline=None)
@given(roots(), st.integers(0, 99))
def test_a_point_closes_its_spec(root: Located, seed: int) -> None:
    here = space(root)
    for point in itertools.islice(here.points(), seed, seed + 5):
        assert not is_open(closed(root, point))
        assert closed(root, {path: json.dumps(v) if isinstance(v, bool) else v for path, v in point.items()}) == closed(
            root, point
        )


@settings(max_examples=150, deadline=None)
@given(roots(), st.data())
def test_names_are_unique_and_stay(root: Located, data: st.DataObject) -> None:
    here = space(root)
    names = [hole.path for hole in here.holes]
    rng = random.Random(data.draw(st.integers(0, 99)))
    point = next(itertools.islice(here.points(), rng.randrange(min(here.raw or 1, 50)), None))
    some = {path: value for path, value in point.items() if rng.random() < 0.5}
    left = [hole.path for hole in holes(closed(root, some))]

    assert len(set(names)) == len(names)
    assert left == [path for path in names if path in left]
    assert set(left) >= point.keys() - some.keys()
    rest = {path: value for path, value in point.items() if path in left}
    assert plain(closed(closed(root, some), rest)) == plain(closed(root, point))
