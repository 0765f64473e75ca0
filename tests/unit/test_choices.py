"""Choices: their names, how they are closed, and the points of a space."""

from __future__ import annotations

import random

import pytest

from archc import api
from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.located import Located, Range, plain
from archc.spec.space import ranges
from archc.spec.space.choices import closed, holes, is_open, open_choices
from archc.spec.space.points import Space, space
from archc.spec.space.requirements import broken
from archc.spec.yaml import read_yaml


def read(text: str) -> Located:
    return read_yaml(Source("x.yaml", text))


def paths(text: str) -> list[str]:
    return [hole.path for hole in holes(read(text))]


def one_hole(choice: str) -> Space:
    return space(read(f"pipeline: [generate: {{n: !choice {choice}}}]"))


# ---- names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("params: {k: !choice 1..3, w: 2}", ["k"]),
        ("models: {small-1: {temperature: !choice [0, 1]}}", ["models.small_1.temperature"]),
        ("budget: {calls: !choice [1, 2]}", ["budget.calls"]),
        ("pipeline: [generate: {n: !choice 1..3, model: !choice [a, b]}]", ["generate.n", "generate.model"]),
        ("pipeline: [generate, [generate: {n: 1}, generate: {n: !choice 1..2}]]", ["generate3.n"]),
        ("pipeline: [!choice [[fuse, generate], []], generate: {n: !choice 1..2}]", ["fuse.on", "generate2.n"]),
        ("pipeline: [!choice [verify, [write_tests, evaluate]]]", ["verify.or"]),
        ("pipeline: [verify, !choice [[], verify, rank]]", ["verify2.or"]),
        ("pipeline: [!choice [[[rank, fuse]], []]]", ["rank.on"]),
        ("pipeline: [!choice [!choice [rank, fuse], vote]]", ["rank.or", "rank.or2"]),
        ("pipeline: !choice [[rank, fuse], [vote]]", ["rank.or"]),
        ("pipeline: [!choice [[], []]]", ["stage.or"]),
        ("pipeline: [repeat: {times: !choice 1..3, do: [refine: {n: !choice 1..2}]}]", ["repeat.times", "refine.n"]),
        ("pipeline: [when: {then: [fuse: {n: !choice 1..2}], else: [fuse: {n: !choice 1..2}]}]", ["fuse.n", "fuse2.n"]),
        ("pipeline: [race: {branches: [[vote], !choice [[rank], []]]}]", ["rank.on"]),
        ("pipeline: [each: [critique: {n: !choice 1..2}]]", ["critique.n"]),
        ("pipeline: [let: {d: [generate: {n: !choice 1..2}]}, d]", ["generate.n"]),
        ("pipeline: [cascade: {models: [a, !choice [b, c]]}]", ["cascade.models.1"]),
        (
            "pipeline: [generate: {stop: !choice [[], [vote]]}, vote: {by: !choice [a, b]}]",
            ["generate.stop", "vote.by"],
        ),
        ("pipeline: [generate: !choice [a, b]]", ["generate"]),
        ("!choice [{a: 1}, {b: 2}]", ["spec"]),
    ],
)
def test_choices_are_named_by_what_is_around_them(text: str, wanted: list[str]) -> None:
    assert paths(text) == wanted


def test_closing_one_choice_renames_no_other() -> None:
    root = read(
        "pipeline: [!choice [generate: {n: !choice 1..2}, []], generate: {n: !choice 3..4}, !choice [vote, fuse]]"
    )
    left = closed(root, {"generate.on": False})

    assert [hole.path for hole in holes(left)] == ["generate2.n", "vote.or"]
    assert plain(closed(left, {"generate2.n": 4, "vote.or": "fuse"})) == {"pipeline": [{"generate": {"n": 4}}, "fuse"]}


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ("[1, 2.0, 0.5, small, true, null]", ("1", "2", "0.5", "small", "true", "null")),
        ("[[], [a, b], {k: 1}]", ("[]", "a,b", "k:1")),
        ("['1', 1, '#1', a]", ("#1", "#2", "#3", "a")),
        (f"[{'long ' * 30}, b]", ("long " * 9 + "lo…", "b")),
    ],
)
def test_values_have_labels(options: str, labels: tuple[str, ...]) -> None:
    [hole] = one_hole(options).holes

    assert hole.labels == labels
    assert [hole.pick(hole.value(i)) for i in range(len(labels))] == list(range(len(labels)))
    assert [hole.pick(label) for label in labels] == list(range(len(labels)))


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ("[vote, []]", ("true", "false")),
        ("[vote, [], fuse: {model: a}]", ("vote", "none", "fuse")),
        ("[fuse: {model: a}, fuse: {model: b}]", ("fuse:a", "fuse:b")),
        ("[fuse: {model: a}, fuse: {model: a}]", ("#1", "#2")),
        ("[[generate, [rank, [vote, fuse]]], vote]", ("generate-rank+vote-fuse", "vote")),
    ],
)
def test_stages_have_labels(options: str, labels: tuple[str, ...]) -> None:
    [hole] = space(read(f"pipeline: [!choice {options}]")).holes

    assert hole.labels == labels
    assert [hole.pick(hole.value(i)) for i in range(len(labels))] == list(range(len(labels)))


# ---- closing


@pytest.mark.parametrize(
    ("choice", "value", "wanted"),
    [
        ("[1, 2, 4]", 4, 4),
        ("[1, 2, 4]", "4", 4),
        ("[1, 2, 4]", "#2", 2),
        ("[1, 2, 4]", 4.0, 4),
        ("[1, 2, 4]", "4e0", 4),
        ("[1, true]", True, True),
        ("[a, null]", None, None),
        ("[a, 'x  y']", "x  y", "x  y"),
        ("1..10", "7", 7),
        ("1..10", "#10", 10),
        ("0..1 step 0.1", "0.3", 0.3),
        ("0..1 step 0.1", "#4", 0.3),
        ("0.2..1.0", "0.25", 0.25),
        ("0.2..1.0", 1, 1.0),
        ("10..20 step 5", 20, 20),
    ],
)
def test_a_choice_is_closed_by_value_label_or_position(choice: str, value: object, wanted: object) -> None:
    root = read(f"pipeline: [generate: {{n: !choice {choice}}}]")
    made = plain(closed(root, {"generate.n": value}))  # type: ignore[dict-item]

    assert made == {"pipeline": [{"generate": {"n": wanted}}]}
    assert type(made["pipeline"][0]["generate"]["n"]) is type(wanted)


@pytest.mark.parametrize("value", ["3", 3, 2.5, True, None, "#0", "#4", "x", "", "1" * 50, "1e999"])
def test_a_value_that_is_not_offered_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="has no option"):
        closed(read("pipeline: [generate: {n: !choice [1, 2, 4]}]"), {"generate.n": value})  # type: ignore[dict-item]


@pytest.mark.parametrize("value", ["0", "11", "1.5", "#11", 0.5, "nan"])
def test_a_number_outside_the_range_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="has no option"):
        closed(read("pipeline: [generate: {n: !choice 1..10}]"), {"generate.n": value})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("pipeline", "values", "wanted"),
    [
        ("[a, !choice [[b, c], d], e]", {"b.or": "b-c"}, ["a", "b", "c", "e"]),
        ("[a, !choice [[b, c], []], e]", {"b.on": False}, ["a", "e"]),
        ("[[a, !choice [[b, c], d]], e]", {"b.or": "b-c"}, [["a", ["b", "c"]], "e"]),
        ("[[a, !choice [[b, c], []]], e]", {"b.on": False}, [["a"], "e"]),
        ("[[!choice [b, []]], e]", {"b.on": False}, ["e"]),
        ("[[], e, !choice [b, c]]", {"b.or": "b"}, [[], "e", "b"]),
        ("[!choice [[[a, b]], c]]", {"a.or": "a+b"}, [["a", "b"]]),
        ("[[x, !choice [[[a, b]], c]]]", {"a.or": "a+b"}, [["x", [["a", "b"]]]]),
        ("!choice [[a, b], [c]]", {"a.or": "c"}, ["c"]),
        ("[!choice [!choice [[a, b], c], d]]", {"a.or": "#1", "a.or2": "a-b"}, ["a", "b"]),
        ("[repeat: {do: [!choice [[a, b], []], c]}]", {"a.on": "true"}, [{"repeat": {"do": ["a", "b", "c"]}}]),
        ("[race: {branches: [[a], !choice [[b], []]]}]", {"b.on": "false"}, [{"race": {"branches": [["a"]]}}]),
    ],
)
def test_an_option_takes_the_place_of_the_choice(pipeline: str, values: dict[str, str], wanted: object) -> None:
    made = closed(read(f"pipeline: {pipeline}"), values)

    assert plain(made) == {"pipeline": wanted}
    assert not is_open(made)
    assert open_choices(made) is None


def test_a_choice_inside_an_option_that_stays_open_can_be_closed() -> None:
    root = read("pipeline: [!choice [!choice [[a, b], []], c, []]]")

    assert plain(closed(root, {"a.on": True})) == {"pipeline": [["a", "b"]]}  # an open choice is its first option
    assert plain(closed(root, {"a.on": False})) == {"pipeline": [[]]}
    assert [hole.path for hole in holes(closed(root, {"a.on": True}))] == ["a.or"]


# ---- ranges


@pytest.mark.parametrize(
    ("numbers", "size", "last"),
    [
        (Range(1, 10, 1), 10, 10),
        (Range(64, 256, 100), 2, 164),
        (Range(0, 1, 0.1), 11, 1.0),
        (Range(0.0, 1.0, 0.25), 5, 1.0),
        (Range(3, 3, 1), 1, 3),
        (Range(0, 10**30, 1), 10**30 + 1, 10**30),
        (Range(0, 1, 1e-300), 10**300 + 1, 1.0),
    ],
)
def test_ranges_count_exactly(numbers: Range, size: int, last: float) -> None:
    assert ranges.size(numbers) == size
    assert ranges.number_at(numbers, size - 1) == last
    assert ranges.index_of(numbers, last) == size - 1


# ---- spaces

ITAS = """
params:
  g: !choice 1..10
  s: !choice 1..5
  w1: !choice [0, 2, 4, 6, 8]
  w2: !choice [0, 2, 4, 6, 8]
  w3: !choice [0, 2, 4, 6, 8]
  v: !choice [none, verifier, unit_tests]
require: [g * s <= 24, w1 > 0, w2 > 0 or w3 == 0]
"""


def test_the_space_of_the_paper_has_the_points_of_the_paper() -> None:
    itas = space(read(ITAS))
    listed = list(itas.valid())

    assert itas.raw == sum(1 for _ in itas.points()) == 18_750
    assert itas.count() == len(listed) == 38 * 84 * 3 == 9_576
    assert len({tuple(point.items()) for point in listed}) == 9_576
    assert itas.is_valid(listed[0])
    assert not itas.is_valid({**listed[0], "g": 10, "s": 5})
    assert not itas.is_valid({key: value for key, value in listed[0].items() if key != "v"})


def test_samples_are_spread_evenly_over_the_valid_points() -> None:
    few = space(read("params: {a: !choice 1..4, b: !choice 1..4}\nrequire: [a * b <= 4]\npipeline: [!choice [x, []]]"))
    rng = random.Random(0)
    drawn = [tuple(few.sample(rng).values()) for _ in range(3200)]
    seen = {point: drawn.count(point) for point in set(drawn)}

    assert few.count() == len(seen) == 16
    assert all(140 < times < 260 for times in seen.values())


def test_options_that_hold_more_are_drawn_more_often() -> None:
    nested = space(read("pipeline: [!choice [fuse: {n: !choice 1..9}, []]]"))
    rng = random.Random(0)
    drawn = [nested.sample(rng) for _ in range(1000)]

    assert nested.raw == nested.count() == 10
    assert list(nested.valid())[-1] == {"fuse.on": False}
    assert 60 < sum(point == {"fuse.on": False} for point in drawn) < 140


def test_a_space_of_real_numbers_has_no_end() -> None:
    endless = one_hole("0.2..1.0")

    assert endless.raw is None
    assert endless.count() is None
    assert endless.is_valid(endless.sample(random.Random(1)))
    with pytest.raises(SpecError, match="cannot be listed"):
        endless.valid()


def test_a_space_without_valid_points_says_so() -> None:
    nothing = space(read("params: {k: !choice 1..9}\nrequire: [k > 9]"))

    assert nothing.count() == 0
    assert list(nothing.valid()) == []
    with pytest.raises(SpecError, match="none of 10,000 random points"):
        nothing.sample(random.Random(0))


def test_fixed_parameters_must_meet_the_requirements_too() -> None:
    root = read("params: {k: 3, w: !choice 1..2}\nrequire: [k > 4, w > 0]")

    assert [d.name for d in broken(root)] == ["broken-requirement"]
    assert space(root).count() == 0
    assert list(space(root).valid()) == []


def test_too_much_to_count_is_not_counted() -> None:
    names = [f"p{i}" for i in range(9)]
    params = ", ".join(f"{name}: !choice 1..100" for name in names)
    vast = space(read(f"params: {{{params}}}\nrequire: [{' + '.join(names)} > 9]"))

    assert vast.raw == 100**9
    assert vast.count() is None
    assert len([point for point, _ in zip(vast.valid(), range(10), strict=False)]) == 10
    assert vast.is_valid(vast.sample(random.Random(0)))


def test_parameters_may_hold_choices_in_choices() -> None:
    nested = space(read("params: {k: !choice [1, !choice 5..6], w: !choice [2, 3]}\nrequire: [k * w <= 12]"))

    assert nested.raw == 6
    assert nested.count() == 4
    assert [tuple(point.values()) for point in nested.valid()] == [(1, 2), (1, 3), ("5..6", 5, 2), ("5..6", 6, 2)]


def test_a_space_that_is_partly_closed_keeps_its_names() -> None:
    source = Source("x", "pipeline: [!choice [fuse: {n: !choice 1..9}, []], fuse: {n: !choice 1..2}]")
    rest = api.space(source, choices={"fuse.on": "false"})

    assert [hole.path for hole in rest.holes] == ["fuse2.n"]
    assert rest.raw == 2
