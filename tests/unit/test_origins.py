"""Where the items of a task are from: the hub and reasoning-gym (stand-ins of these packages), and its puzzles."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from archc.bench.data import Data, Selection, load
from archc.bench.grading import Grading
from archc.bench.gym import SIZE, gym_task
from archc.bench.reasoning import graded_reasoning
from archc.bench.task import built_in, names
from archc.diagnostics import SpecError
from tests.unit.test_bench import Bench, bench  # noqa: F401
from tests.unit.test_programs import graded, items

# ---- the hub

ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "2 + 2?", "answer": "It is 4\n#### 4"},
    "math500": {"problem": "1/2", "answer": "\\frac12", "unique_id": "a"},
    "humaneval": {
        "task_id": "HumanEval/0",
        "prompt": "def f(n):\n",
        "canonical_solution": "    return n\n",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
        "entry_point": "f",
    },
    "mbpp": {
        "task_id": 2,
        "prompt": "Write f.",
        "code": "def f(n): return n",
        "test_imports": ["import math"],
        "test_list": ["assert f(math.floor(1.5)) == 1"],
    },
    "mbpp-plus": {
        "task_id": 2,
        "prompt": "Write f.",
        "code": "def f(n): return n",
        "test_imports": [],
        "test_list": ["assert f(1) == 1"],
        "test": "import numpy as np\nassert np.allclose(f(0.5), 0.5)",
    },
    "cruxeval": {"id": "sample_0", "code": "def f(n): return n", "input": "[1]", "output": "[1]"},
    "ifeval": {
        "key": 1,
        "prompt": "No commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{"num_words": None}],
    },
    "mmlu": {"question": "?", "subject": "s", "choices": ["a", "b", "c", "d"], "answer": 1},
    "mmlu-pro": {"question_id": 7, "question": "?", "options": ["a", "b"], "answer": "B"},
    "openbookqa": {
        "id": "x",
        "question_stem": "?",
        "choices": {"text": ["a", "b"], "label": ["A", "B"]},
        "answerKey": "B",
    },
    "commonsenseqa": {
        "id": "x",
        "question": "?",
        "choices": {"text": ["a", "b"], "label": ["A", "B"]},
        "answerKey": "B",
    },
}
"""A row of each set, in the columns that its card on the hub tells."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A stand-in for `datasets`: what it was asked for."""
    asked: list[tuple[Any, ...]] = []
    by_path = {task.hub.path: task.name for task in map(built_in, names()) if task.hub}

    def load_dataset(path: str, name: str | None, *, split: str, revision: str | None) -> list[dict[str, Any]]:
        asked.append((path, name, split, revision))
        return [ROWS[by_path[path]]]

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_every_task_of_the_hub_is_tried() -> None:
    assert {name for name in names() if built_in(name).hub} == ROWS.keys()


@pytest.mark.parametrize("name", sorted(ROWS))
def test_what_is_not_in_the_folder_is_fetched_and_can_be_graded(
    name: str, hub: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    task = built_in(name)
    data = load(task, Selection(), tmp_path)
    item = data.items[0]
    answer = "It is so" if name == "ifeval" else item.golds[0]

    assert str(data.path) == f"hf:{hub[0][0]}/{next(iter(task.slices))}"
    assert len(data.digest) == 64
    if name != "math500":  # its grader is a package
        assert [grade.correct for grade in graded(task, [(answer, item)])] == [True]


def test_a_file_is_taken_before_the_hub(hub: list[tuple[Any, ...]], tmp_path: Path) -> None:
    (tmp_path / "math").mkdir()
    (tmp_path / "math" / "gsm8k_test.jsonl").write_text('{"question": "own?", "answer": "1"}\n')

    assert load(built_in("gsm8k"), Selection(), tmp_path).items[0].question.startswith("own?")
    assert hub == []


def test_a_hub_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto it")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))

    with pytest.raises(SpecError, match=r"from `openai/gsm8k` .*: ConnectionError: no route$"):
        load(built_in("gsm8k"), Selection(), tmp_path)


def test_without_the_package_the_file_is_missed_with_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(SpecError) as error:
        load(built_in("gsm8k"), Selection(), tmp_path)
    assert "pip install 'archc[hub]'" in error.value.diagnostics[0].advice


# ---- reasoning-gym


class _Sums:
    """A family that is scored by comparing texts."""

    def __init__(self, seed: int, **_: object) -> None:
        self._seed = seed

    def __getitem__(self, number: int) -> dict[str, Any]:
        total = self._seed + number
        return {"question": f"{self._seed} + {number}?", "answer": str(total), "metadata": {"parts": (1, 2)}}


class _Figlet(_Sums):
    def score_answer(self, answer: str, entry: object) -> float:
        raise AssertionError("code of a package is not run on what models write")


@pytest.fixture
def gym(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, Callable[..., Any]] = {"sums": _Sums, "figlet": _Figlet, "gcd": _Figlet}

    def create_dataset(family: str, size: int, seed: int) -> Any:
        return kinds[family](seed=seed, size=size)

    module = SimpleNamespace(factory=SimpleNamespace(DATASETS=kinds), create_dataset=create_dataset)
    monkeypatch.setitem(sys.modules, "reasoning_gym", module)


def of(name: str) -> Data:
    return load(gym_task(name), Selection("", None, 3), None)


@pytest.mark.usefixtures("gym")
def test_a_family_has_other_items_for_each_seed_and_the_same_for_one() -> None:
    assert of("reasoning-gym:sums").items == of("reasoning-gym:sums:0").items
    assert of("reasoning-gym:sums").digest != of("reasoning-gym:sums:7").digest
    assert [item.golds for item in of("reasoning-gym:sums:7").items] == [("7",), ("8",), ("9",)]
    assert of("reasoning-gym:gcd").of == SIZE


@pytest.mark.usefixtures("gym")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reasoning-gym:sum", "did you mean `sums`?"),
        ("reasoning-gym:sums:x", "a family's seed is a whole number"),
        ("reasoning-gym:figlet", "does not run on what models write"),
    ],
)
def test_families_that_cannot_be_asked_are_told(name: str, said: str) -> None:
    with pytest.raises(SpecError) as error:
        of(name)
    assert said in error.value.diagnostics[0].advice


def test_without_the_package_it_is_said_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    ended = bench("bench", "one.yaml", "--task", "reasoning-gym:gcd")

    assert ended.code == 2
    assert "pip install 'archc[gym]'" in ended.err


@pytest.mark.usefixtures("gym")
def test_a_family_is_a_task_of_the_command_line(bench: Bench) -> None:  # noqa: F811
    ended = bench("bench", "one.yaml", "--task", "reasoning-gym:gcd:5", "--limit", "4", "--run", "g", "--json")

    assert ended.code == 0
    assert (ended.json["task"], ended.json["answered"]) == ("reasoning-gym:gcd:5", 4)
    assert bench.json("g", "manifest.json")["data"]["path"] == "reasoning-gym:gcd:5"


# ---- puzzles


GRID = [["*", "O", "X"], ["X", "O", "#"], ["O", "O", "O"]]
PATH = {"matrix": GRID, "solution": ["right", "down", "right"]}
HANOI = {"num_disks": 2, "num_pegs": 3, "start_peg": 1, "target_peg": 3, "solution_length": 3}
MOVES = ["Move disk 1 from Peg 1 to Peg 2", "Move disk 2 from Peg 1 to Peg 3", "Move disk 1 from Peg 2 to Peg 3"]


@pytest.mark.parametrize(
    ("family", "entry", "answer", "right"),
    [
        ("countdown", {"numbers": [9, 3, 2], "target": 10}, "9 + 3 - 2", True),
        ("countdown", {"numbers": [9, 3, 2], "target": 10}, "9 + 3 / 3", False),
        ("puzzle24", {"numbers": [4, 6, 1, 1]}, "4 * 6 * 1 / 1", True),
        ("puzzle24", {"numbers": [4, 6, 1, 1]}, "24", False),
        ("shortest_path", PATH, "Right, down, right", True),
        ("shortest_path", PATH, "right right down", False),
        ("shortest_path", PATH, "right down down right up", False),
        ("shortest_path", PATH, "down right right", False),
        ("tower_of_hanoi", HANOI, "\n".join(MOVES), True),
        ("tower_of_hanoi", HANOI, "\n".join(reversed(MOVES)), False),
        ("tower_of_hanoi", HANOI, "\n".join([*MOVES[:2], "Move disk 1 from Peg 2 to Peg 9"]), False),
        ("countdown", {}, "1 + 1", False),
        ("gcd", {}, "42.0", True),
        ("gcd", {}, "43", False),
    ],
)
def test_a_solution_is_worked_out_where_there_are_several(
    family: str, entry: dict[str, Any], answer: str, right: bool
) -> None:
    assert graded_reasoning(answer, ["42"], {"meta": {"family": family, "entry": entry}}).correct is right


def test_all_recorded_puzzles_are_solved_by_their_answers_and_not_by_others() -> None:
    task, known = items("reasoning")
    others = dict(zip([item.id for item in known], [*known[1:], known[0]], strict=True))
    wrong = [graded_reasoning(others[item.id].golds[0], item.golds, item.record) for item in known]

    assert len(known) == 2800
    assert all(graded_reasoning(item.golds[0], item.golds, item.record).correct for item in known)
    assert sum(grade.correct for grade in wrong) < 0.2 * len(known)
    assert Grading(task).task is task
