"""Every sampler through one suite: the same points for the same trials, none twice, none that may not be tried."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from archc import api
from archc.diagnostics import SpecError
from archc.searching.domain import Domain, Key
from archc.searching.samplers import DEFAULT, Sampler, Setting, Told, names, sampler, sampler_class
from archc.source import Source
from archc.spec.space.points import Point

ROOT = Path(__file__).parent.parent.parent

CONDITIONAL = """
model m = simulated("m")
param a = {1 | 2 | 4 | 8}
param kind = {x | y | z}
require a > 1 or kind == "x"
generate(m, n=$a) -> critique(m)? -> {verify(m, votes={1 | 3}) | rank(m, top_k={1..4})}
"""
ENDLESS = """
model m = simulated("m")
param t = {0.0..2.0}
param n = {1..64}
generate(m, n=$n, temperature=$t) -> {vote | rank(m, top_k={1..4})}
"""
EASY = """
model m = simulated("m")
param a = {1..10}
param b = {1..10}
param c = {x | y | z | u}
param d = {1..5}
generate(m, n=$a)
"""
SINGLE = [name for name in names() if sampler_class(name).one_objective]


def domain(text: str, allowed: Callable[[Point], bool] = lambda point: True) -> Domain:
    return Domain(api.space(Source("space.arch", text, "arch")), allowed)


def few_calls(point: Point) -> bool:
    return not (point["a"] == 8 and point["kind"] == "z")


def worth(point: Point) -> float:
    """A value that depends on all choices, so that no two points of a space are alike for long."""
    return sum(math.sin(1 + len(path) + len(str(value)) + hash_of(value)) for path, value in sorted(point.items()))


def hash_of(value: object) -> float:
    return float(value) if isinstance(value, int | float) else sum(map(ord, str(value))) / 7


async def _drive(asked: Sampler, count: int, batch: int, values: Callable[[Point], tuple[float, ...]]) -> list[Point]:
    found: list[Point] = []
    while len(found) < count:
        points = await asked.ask(batch)
        for point in points:
            asked.tell(Told(len(found), point, values(point), 50))
            found.append(point)
        if len(points) < batch:
            break
    return found


def drive(
    asked: Sampler,
    count: int,
    batch: int = 1,
    values: Callable[[Point], tuple[float, ...]] = lambda point: (worth(point),),
) -> list[Point]:
    return asyncio.run(_drive(asked, count, batch, values))


def ask(asked: Sampler, count: int = 1) -> list[Point]:
    return asyncio.run(asked.ask(count))


def keys(where: Domain, points: list[Point]) -> list[Key]:
    return [where.key(point) for point in points]


@pytest.mark.parametrize("name", names())
def test_it_is_found_by_its_name(name: str) -> None:
    assert sampler(name, Setting(domain(EASY), 0)).name == name


def test_the_default_is_there() -> None:
    assert DEFAULT in names()


def test_a_wrong_name_is_told_with_the_right_one() -> None:
    with pytest.raises(SpecError, match="there is no sampler `archon`") as told:
        sampler("archon", Setting(domain(EASY), 0))

    assert "did you mean `archon-bo`" in str(told.value.diagnostics[0].as_json())


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", names())
def test_it_tries_every_allowed_point_once(name: str, batch: int) -> None:
    where = domain(CONDITIONAL, few_calls)
    points = drive(sampler(name, Setting(where, 3)), 10_000, batch)

    assert len(points) == where.count() == 108
    assert len(set(keys(where, points))) == len(points)
    assert all(where.space.is_valid(p) and few_calls(p) for p in points)


@pytest.mark.parametrize("name", names())
def test_it_needs_no_list_of_points(name: str) -> None:
    where = domain(ENDLESS, lambda point: point["n"] != 7)
    points = drive(sampler(name, Setting(where, 1)), 25)

    assert where.listed is None
    assert len(set(keys(where, points))) == 25
    assert all(where.space.is_valid(p) and p["n"] != 7 for p in points)


@pytest.mark.parametrize("text", [CONDITIONAL, ENDLESS])
@pytest.mark.parametrize("name", names())
def test_the_same_trials_give_the_same_points_after_a_kill(name: str, text: str) -> None:
    where = domain(text)
    first = sampler(name, Setting(where, 5))
    points = drive(first, 22)
    again = sampler(name, Setting(domain(text), 5))
    for number, point in enumerate(points):
        again.tell(Told(number, point, (worth(point),), 50))

    assert drive(sampler(name, Setting(where, 5)), 22) == points
    assert ask(again, 3) == ask(first, 3)


@pytest.mark.parametrize("name", sorted(set(names()) - {"grid"}))
def test_another_seed_gives_other_points(name: str) -> None:
    where = domain(EASY)

    assert ask(sampler(name, Setting(where, 1)), 3) != ask(sampler(name, Setting(where, 2)), 3)


@pytest.mark.parametrize("name", names())
def test_it_does_not_propose_what_others_tried(name: str) -> None:
    where = domain(CONDITIONAL)
    asked = sampler(name, Setting(where, 0))
    others = list(where.listed or ())[:110]
    for number, point in enumerate(others):
        asked.tell(Told(number, point, (worth(point),), 50))
    points = ask(asked, 20)

    assert len(points) == 10
    assert not set(keys(where, points)) & set(keys(where, others))


@pytest.mark.parametrize("name", names())
def test_what_was_not_measured_does_no_harm(name: str) -> None:
    asked = sampler(name, Setting(domain(CONDITIONAL), 0))
    points = drive(asked, 20, values=lambda point: (math.nan if point["a"] == 8 else worth(point),))

    assert len(points) == 20


@pytest.mark.parametrize("name", names())
def test_trials_of_another_space_do_no_harm(name: str) -> None:
    """A search that goes on after its space was edited is told of points that are none any more."""
    asked = sampler(name, Setting(domain(CONDITIONAL), 0))
    for number, point in enumerate([{"a": 3, "kind": "x"}, {"b": 1}, {"a": 1, "kind": "z", "verify.or": "rank"}]):
        asked.tell(Told(number, point, (1.0,), 50))

    assert len(drive(asked, 20)) == 20


# ---- how good it is


def hill(point: Point) -> float:
    a, b, d = (float(str(point[name])) for name in "abd")
    return 1.0 - ((a - 7) / 9) ** 2 - ((b - 3) / 9) ** 2 - ((d - 4) / 4) ** 2 - 0.3 * (point["c"] != "y")


def best_found(name: str, seed: int, count: int) -> float:
    rng = Random(f"noise {seed}")
    points = drive(sampler(name, Setting(domain(EASY), seed)), count, values=lambda p: (hill(p) + rng.gauss(0, 0.02),))
    return max(map(hill, points))


@pytest.mark.parametrize(("name", "count"), [("gp", 30), ("tpe", 60), ("greedy", 60), ("nsga2", 160)])
def test_it_is_better_than_chance_on_a_hill(name: str, count: int) -> None:
    seeds = range(4)
    lost = sum(1 - best_found(name, seed, count) for seed in seeds)
    by_chance = sum(1 - best_found("random", seed, count) for seed in seeds)

    assert lost < 0.67 * by_chance


def test_archons_search_learns_after_its_random_points() -> None:
    where = domain(EASY)
    rng = Random(0)
    asked = sampler("archon-bo", Setting(where, 0))
    points = drive(asked, 260, values=lambda p: (hill(p) + rng.gauss(0, 0.02),))

    assert max(map(hill, points[235:])) > 0.98
    assert sum(map(hill, points[235:])) / 25 > sum(map(hill, points[:235])) / 235 + 0.2


def test_a_model_of_many_items_is_trusted_more() -> None:
    """A lucky trial on two items must not outweigh many on a hundred."""
    where = domain(EASY)
    asked = sampler("gp", Setting(where, 0))
    rng = Random(1)
    for number in range(30):
        point = where.fresh(rng, asked.taken)
        assert point is not None
        asked.tell(Told(number, point, (hill(point) + rng.gauss(0, 0.01),), 100))
    worst = min(where.listed or (), key=hill)
    asked.tell(Told(30, worst, (1.0,), 1))
    [point] = ask(asked)

    assert hill(point) > 0.7


# ---- constraints and several objectives


@pytest.mark.parametrize("name", ["gp", "tpe", "nsga2"])
def test_it_learns_where_a_constraint_holds(name: str) -> None:
    where = domain(EASY)
    asked = sampler(name, Setting(where, 0))
    beyond = []
    for number in range(80):
        [point] = ask(asked)
        over = (float(str(point["a"])) + float(str(point["b"])) - 8) / 8
        asked.tell(Told(number, point, (hill(point),), 100, (over,)))
        beyond.append(over > 0)

    assert sum(beyond[40:]) < sum(not_held(p) for p in where.listed or ()) / len(where.listed or ()) * 40


def not_held(point: Point) -> bool:
    return float(str(point["a"])) + float(str(point["b"])) > 8


def two(point: Point) -> tuple[float, ...]:
    a, b = float(str(point["a"])), float(str(point["b"]))
    return hill(point), -(a + b) / 20


@pytest.mark.parametrize("name", sorted(set(names()) - set(SINGLE)))
def test_it_takes_several_objectives(name: str) -> None:
    where = domain(EASY)
    points = drive(sampler(name, Setting(where, 0, objectives=2)), 45, batch=3, values=two)

    assert len(set(keys(where, points))) == 45


@pytest.mark.parametrize("name", ["gp", "tpe", "nsga2"])
def test_it_finds_a_front(name: str) -> None:
    where = domain(EASY)

    def volume(points: list[Point]) -> float:
        """The area between the front and a point that is worse in both, where larger is better in both."""
        area, low = 0.0, -1.0
        for first, second in sorted(map(two, points), reverse=True):
            if first > 0 and second > low:
                area, low = area + first * (second - low), second
        return area

    by_chance = [volume(drive(sampler("random", Setting(where, s, objectives=2)), 60, values=two)) for s in range(3)]
    found = [volume(drive(sampler(name, Setting(where, s, objectives=2)), 60, values=two)) for s in range(3)]

    assert sum(found) > sum(by_chance)


@pytest.mark.parametrize("name", SINGLE)
def test_several_objectives_are_refused_where_there_can_be_only_one(name: str) -> None:
    with pytest.raises(SpecError, match=f"`{name}` takes one objective, and there are 2"):
        sampler(name, Setting(domain(EASY), 0, objectives=2))


# ---- a model that advises


def advised(*replies: str, text: str = CONDITIONAL) -> tuple[Sampler, list[str]]:
    """The sampler after its first points, with a model that says these things in turn."""
    waiting: Iterator[str] = iter(replies)
    heard: list[str] = []

    async def advise(prompt: str) -> str:
        heard.append(prompt)
        return next(waiting, "")

    asked = sampler("llm", Setting(domain(text), 0, advise=advise, about="GSM8K, accuracy"))
    drive(asked, len(asked.domain.holes) + 1)
    return asked, heard


GOOD = '{"a": 4, "kind": "z", "critique.on": true, "verify.or": "rank", "rank.top_k": 2}'


def test_the_model_hears_the_trials_and_its_points_are_taken() -> None:
    asked, heard = advised("More samples help.", f"Sure! Here:\n```json\n[{GOOD}]\n```")
    [point] = ask(asked)

    assert point == {"a": 4, "kind": "z", "critique.on": True, "verify.or": "rank", "rank.top_k": 2}
    assert asked.notes == []
    best = max(asked.told, key=lambda told: told.values)
    assert all("GSM8K, accuracy" in prompt and f"{best.values[0]:.4g}" in prompt for prompt in heard)
    assert "More samples help." in heard[1]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I can't help with that.",
        "[" * 60_000,
        "{" * 60_000,
        '{"a": ' * 20_000,
        '[{"a": 3, "kind": "w"}]',
        '[{"a": 1e999, "kind": NaN, "verify.or": {"a": [1]}}]',
        f'[{{"a": {"9" * 5000}}}]',
        '{"__class__": "x", "points": [null, 7, "a"]}',
        '[{"a": 1, "kind": "z", "critique.on": false, "verify.or": "verify", "verify.votes": 1}]',
        "\x00\ud800" + "]" * 1000,
    ],
    ids=range(11),
)
def test_whatever_the_model_writes_a_new_point_comes_and_chance_is_noted(reply: str) -> None:
    asked, _ = advised("", reply)
    [point] = ask(asked)

    assert asked.domain.holds(point)
    assert len(asked.notes) == 1
    assert asked.notes[0].startswith("1 of 1 points are random")


def test_a_point_that_was_tried_is_not_taken_again() -> None:
    asked, _ = advised("", f"[{GOOD}]", "", f"[{GOOD}, {GOOD}]")
    first, second = ask(asked)[0], ask(asked)[0]

    assert asked.domain.key(first) != asked.domain.key(second)
    assert len(asked.notes) == 1


def test_a_partial_proposal_is_completed() -> None:
    asked, _ = advised("", '[{"a": 8, "verify.or": "#2", "other": 1}]')
    [point] = ask(asked)

    assert (point["a"], point["verify.or"]) == (8, "rank")
    assert asked.domain.holds(point)
    assert asked.notes == []


def test_without_a_model_all_is_chance_and_said() -> None:
    asked = sampler("llm", Setting(domain(EASY), 0))
    points = drive(asked, 12)

    assert len(points) == 12
    assert asked.notes
