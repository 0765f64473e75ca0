"""Every input that was ever found to be wrong, and a short campaign; the long ones are in CONTRIBUTING.md."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import pytest

from archc import api
from archc.diagnostics import SpecError
from archc.source import Source
from tests.fuzz.bombs import BOMBS
from tests.fuzz.campaign import Hang, an_input, watched
from tests.fuzz.seeds import HERE, seeds
from tests.fuzz.targets import TARGETS

CORPUS = sorted((HERE / "corpus").iterdir())
RUNS = 250


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus(path: Path) -> None:
    with watched():
        TARGETS[path.suffix[1:]](path.read_bytes())


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_or_compiled(name: str) -> None:
    target, text = BOMBS[name]
    with watched():
        TARGETS[target](text.encode())


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_campaign(target: str) -> None:
    rng = Random(target)
    for data in seeds()[target]:
        TARGETS[target](data)
    for _ in range(RUNS):
        data = an_input(rng, target, [])
        with watched():
            TARGETS[target](data)


def test_seeds_come_through() -> None:
    reached = [TARGETS["arch"](data) for data in seeds()["arch"]]

    assert reached.count("planned") > len(reached) / 2


def test_a_hang_is_ended() -> None:
    with pytest.raises(Hang), watched(0.01):
        sum(1 for _ in itertools.count())


def test_formatting_changes_blanks_in_conditions() -> None:
    source = Source("a.arch", "param k = 3\nrequire k*2<=24\n\ngenerate(small)->when agreement<50%{select()}\n")

    assert "require k * 2 <= 24" in api.formatted(source)
    assert "when agreement < 0.5 { select }" in api.formatted(source)


def test_a_space_whose_fixed_params_are_wrong_has_no_point() -> None:
    text = "params: {a: 1, b: !choice [1, 2]}\nrequire: [a > 1]\npipeline: [vote]\n"
    with pytest.raises(SpecError, match="does not meet"):
        api.space(Source("a.yaml", text)).sample(Random(0))


@pytest.mark.parametrize(
    ("step", "count", "what"),
    [(" -> select?", 5_000, "choices"), (" -> each { select }", 4_000, "steps and blocks")],
)
def test_what_costs_too_much_is_counted(step: str, count: int, what: str) -> None:
    def checked(times: int) -> None:
        api.check(Source("a.arch", f"model m = simulated\ngenerate(m){step * times}\n"))

    checked(count - 1)
    with pytest.raises(SpecError, match=f"more than .* {what}"):
        checked(count + 1)
