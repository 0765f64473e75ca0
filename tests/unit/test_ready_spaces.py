"""The ready spaces: headers say how many points there are and what these cost, and every kind of point compiles."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from archc import api

SPACES = sorted((Path(__file__).parent.parent.parent / "search").glob("*.arch"))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_header_counts_the_points(path: Path) -> None:
    header, space = path.read_text(encoding="utf-8").split("\n\n", 1)[0], api.space(path)
    said = re.search(r"^# Count: .*? = ([\d,]+) points, of which ([\d,]+) are valid", header, re.MULTILINE)

    assert "# Source:" in header
    assert "# Cost:" in header
    assert said
    assert [int(number.replace(",", "")) for number in said.groups()] == [space.raw, space.count()]


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_points_that_take_every_option_compile(path: Path) -> None:
    for point in api.space(path).covering(random.Random(0)):
        plan = api.compile(path, choices=point, environ={})

        assert plan.warnings == ()


@pytest.mark.parametrize(
    ("name", "dear", "calls"),
    [
        ("quick", {"n": 8, "temperature": 0.6, "style": "plain", "pick": "judged"}, 16),
        (
            "small-models",
            {"drawn": 8, "more": 8, "kept": 0, "votes": 3, "temperature": 0.7, "finish": "critique_fuse"},
            114,
        ),
    ],
)
def test_the_header_tells_the_calls_of_the_dearest(name: str, dear: dict[str, str | int | float], calls: int) -> None:
    [path] = [path for path in SPACES if path.stem == name]
    plan = api.compile(path, choices=dear, environ={})

    assert plan.cost.calls.lo == calls
    assert re.search(rf"^# Cost: .* to {calls} ", path.read_text(encoding="utf-8"), re.MULTILINE)
