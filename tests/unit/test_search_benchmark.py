"""The benchmark of samplers: its calls are those of the plans, and what it says of the default sampler."""

from __future__ import annotations

import random
import re
import sys

import pytest

from archc.searching.samplers import DEFAULT
from benchmarks import search
from benchmarks.landscapes import LANDSCAPES


def test_calls_from_parts_are_those_of_the_plans() -> None:
    [cap] = search.caps_of([1000])
    some = random.Random(4).sample([choices for _, choices in cap.points], 12)

    assert len(cap.points) == 9576
    assert [search.calls(c) for c in some] == [search.compiled_calls(c) for c in some]


def test_no_point_is_beyond_the_cap() -> None:
    [cap] = search.caps_of([20])

    assert len(cap.points) == 327
    assert max(search.calls(choices) for _, choices in cap.points) == 20


def test_the_default_needs_fewer_evaluations_than_the_papers() -> None:
    [cap] = search.caps_of([20])
    problems = [cap.problem(land, 1) for land in LANDSCAPES]
    ours = sum(search.needed(problem, DEFAULT, 1) for problem in problems)
    papers = sum(search.needed(problem, "archon-bo", 1) for problem in problems)

    assert ours < papers


def test_it_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["search", "--quick", "--samplers", "random,grid,greedy"])
    search.main()
    rows = capsys.readouterr().out.splitlines()[2:]

    assert len(rows) == 6
    assert all(re.fullmatch(r"\| (10|30) \| [\d,]+ \| `\w+` (\| \d+ \(\d+-\d+\) ){6}\| 1 \|", row) for row in rows)
