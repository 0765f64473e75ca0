"""Random spaces as domains: keys, features, neighbours and repairs are what they say."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from archc.searching.domain import Domain
from archc.spec.located import Located
from archc.spec.space.points import Point, space
from tests.property.test_spaces import roots


def odd(point: Point) -> bool:
    """Something to allow that has nothing to do with the space."""
    return len(str(sorted(point.items()))) % 2 == 1


@settings(max_examples=150, deadline=None)
@given(roots(), st.integers(0, 99))
def test_keys_and_features_tell_points_apart(root: Located, seed: int) -> None:
    domain = Domain(space(root))
    points = list(domain.listed or ())[:200]
    keys, places = [domain.key(p) for p in points], [domain.features(p) for p in points]

    assert [domain.point(key) for key in keys] == points
    assert len(set(keys)) == len(set(places)) == len(points)
    assert {len(place) for place in places} <= {domain.columns[-1].stop if domain.columns else 0}
    assert all(0 <= number <= 1 for place in places for number in place)
    # Other words for the same options, positions and labels, are the same point.
    in_words = [{h.path: h.label(h.pick(p[h.path]) or 0) for h in domain.holes if h.path in p} for p in points]
    assert [domain.key(p) for p in in_words] == keys


@settings(max_examples=150, deadline=None)
@given(roots(), st.integers(0, 99))
def test_neighbours_differ_in_one_choice_and_what_depends_on_it(root: Located, seed: int) -> None:
    domain, rng = Domain(space(root), odd), random.Random(seed)
    points = [p for p in domain.listed or () if odd(p)]
    for point in points[:5]:
        for near in domain.neighbours(point, rng):
            assert domain.space.is_valid(near)
            assert odd(near)
            changed = {h.path for h in domain.holes if point.get(h.path, _NONE) != near.get(h.path, _NONE)}
            roots_of_change = {
                h.path for h in domain.holes if h.path in changed and not changed & {path for path, _ in h.under}
            }
            assert len(roots_of_change) == 1


_NONE = object()


@settings(max_examples=150, deadline=None)
@given(roots(), st.integers(0, 99))
def test_what_may_be_tried_is_found_and_counted(root: Located, seed: int) -> None:
    asked: list[str] = []

    def allowed(point: Point) -> bool:
        asked.append(str(point))
        return odd(point)

    domain, rng = Domain(space(root), allowed), random.Random(seed)
    wanted = {domain.key(p) for p in domain.listed or () if odd(p)}
    found = {domain.key(p) for p in domain.spread(rng, 10)}
    left = domain.fresh(rng, found)

    assert domain.count() == len(wanted)
    assert len(found) == min(10, len(wanted))
    assert found <= wanted
    assert (left is None) == (found == wanted)
    assert left is None or domain.key(left) in wanted - found
    assert len(asked) == len(set(asked)), "asked twice about one point"


@settings(max_examples=100, deadline=None)
@given(roots(), st.integers(0, 99), st.data())
def test_a_repaired_point_is_whole_and_keeps_what_it_can(root: Located, seed: int, data: st.DataObject) -> None:
    domain, rng = Domain(space(root)), random.Random(seed)
    kept = [h for h in domain.holes if data.draw(st.booleans())]
    wanted = {h.path: h.value(rng.randrange(h.options or 1)) for h in kept}
    point = domain.repaired(wanted, rng)

    assert all(point.get(h.path, wanted[h.path]) == wanted[h.path] for h in kept)
    assert domain.key(point) in {domain.key(p) for p in domain.space.points()} or (domain.space.raw or 0) > 1000
