"""Pools in `archc bench`: what several candidates an item say beyond how often the first one is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from archc.bench.metrics.pool import best_of_k, majority_at_k, pass_at_k, pass_hat_k
from archc.bench.pools import pooled
from tests.unit.test_bench import ANSWERS, PROMPT, Bench, bench

__all__ = ["bench"]

MODEL = {"backend": "simulated", "skill": 0.4, "answers": {q + PROMPT: a for q, a in ANSWERS.items()}}


@pytest.fixture
def many(bench: Bench) -> Bench:
    """A spec that ends with eight judged candidates."""
    write(bench, "pool", [{"generate": {"model": "m", "n": 8}}, {"score": {"model": "judge"}}])
    return bench


def write(bench: Bench, name: str, pipeline: list[Any]) -> None:
    spec = {"name": name, "models": {"m": MODEL, "judge": {**MODEL, "model": "judge"}}, "pipeline": pipeline}
    bench.write(f"{name}.yaml", json.dumps(spec))


def test_an_item_keeps_its_candidates_graded(many: Bench) -> None:
    many.run("pool")

    for record in many.lines("pool"):
        assert len(record["pool"]) == 8
        assert record["pool"][0]["answer"] == record["answer"]
        for entry in record["pool"]:
            assert entry["correct"] is (entry["answer"] in record["gold"])
            assert 0 <= entry["score"] <= 1


def test_the_curves_are_the_means_over_the_items(many: Bench) -> None:
    curves = many.run("pool", "--json").json["pool"]["curves"]
    pools = [record["pool"] for record in many.lines("pool")]
    right = [[entry["correct"] for entry in pool] for pool in pools]
    expected: dict[str, Callable[[int], list[float]]] = {
        "pass@k": lambda k: [pass_at_k(8, sum(r), k) for r in right],
        "pass^k": lambda k: [pass_hat_k(8, sum(r), k) for r in right],
        "maj@k": lambda k: [majority_at_k([e["answer"] for e in p], r, k) for p, r in zip(pools, right, strict=True)],
        "best-of-k by score": lambda k: [
            best_of_k([e["score"] for e in p], r, k) for p, r in zip(pools, right, strict=True)
        ],
    }

    assert curves.keys() == expected.keys()
    for name, values in expected.items():
        assert [at["k"] for at in curves[name]] == [1, 2, 4, 8]
        for at in curves[name]:
            assert at["value"] == pytest.approx(sum(values(at["k"])) / 20)
            assert at["low"] <= at["value"] <= at["high"]


def test_people_are_told_in_a_few_lines(many: Bench) -> None:
    out = many.run("pool").out

    for said in (
        "pass@k: ",
        "% @8",
        "to expect: ",
        "pass^8 ",
        "maj@8 ",
        "best-of-8 by score ",
        "agreement tells",
        "AUROC",
    ):
        assert said in out


def test_the_rule_that_one_would_use_is_the_one_that_is_told(many: Bench) -> None:
    """What the pool says of a rule is what a spec with that rule comes to."""
    write(many, "chosen", [{"generate": {"model": "m", "n": 8}}, {"score": {"model": "judge"}}, {"select": "score"}])
    told = many.run("pool", "--json").json["pool"]["curves"]["best-of-k by score"][-1]
    chosen = many.run("chosen", "--json").json["accuracy"]["value"]

    assert told["low"] <= chosen <= told["high"]


def test_one_answer_with_a_verdict_tells_how_sure_it_is(bench: Bench) -> None:
    write(bench, "judged", [{"generate": {"model": "m"}}, {"verify": {"model": "judge", "filter": False, "votes": 5}}])
    pool = bench.run("judged", "--json").json["pool"]

    assert "curves" not in pool
    assert 0 <= pool["confidence"]["verdict"]["auroc"]["value"] <= 1
    assert sum(one["count"] for one in pool["confidence"]["verdict"]["calibration"]) == 20


def test_one_plain_answer_has_no_pool(bench: Bench) -> None:
    assert "pool" not in bench.run("one", "--json").json
    assert all("pool" not in record for record in bench.lines("one"))


def test_a_candidate_that_is_missing_is_wrong() -> None:
    one, two = {"answer": "1", "correct": True}, {"answer": "2", "correct": False}
    records = [{"pool": [one, two], "answer": "1", "correct": True}, {"answer": "1", "correct": True}]
    told = pooled([*records, {"answer": None, "correct": False}])

    assert told is not None
    assert [at["value"] for at in told["curves"]["pass@k"]] == pytest.approx([1 / 3, 2 / 3])
    assert told["confidence"]["agreement"]["risk_coverage"][-1] == pytest.approx([1.0, 1 / 3])


def test_what_all_have_right_has_no_fit_and_no_auroc() -> None:
    told = pooled([{"pool": [{"answer": "1", "correct": True}] * 4, "answer": "1", "correct": True}] * 3)

    assert told is not None
    assert told["fits"] == {}
    assert told["confidence"]["agreement"]["auroc"] is None
    assert told["curves"]["pass@k"][-1]["low"] < 1  # three items cannot be certain of all others


def test_the_baselines_have_the_choices_of_the_spec(bench: Bench) -> None:
    text = (bench.folder / "many.yaml").read_text().replace('"n": 9', '"n": !choice [5, 9]')
    bench.write("open.yaml", text.replace('"skill": 0.5', '"skill": !choice [0.1, 0.9]'))
    choices = ("--choose", "generate.n=5", "--choose", "models.m.skill=0.9")
    ended = bench.run("open", *choices, "--baselines", "--json")

    assert ended.code == 0, ended.err
    assert ended.json["baselines"]["greedy"]["accuracy"][0]["value"] > 0.5
    assert "self-consistency@5" in ended.json["baselines"]


def test_best_of_n_is_judged_by_the_judge_of_the_spec(many: Bench) -> None:
    write(many, "ranked", [{"generate": {"model": "m", "n": 8}}, {"rank": {"model": "judge", "top_k": 1}}])
    told = many.run("ranked", "--baselines", "--json").json["baselines"]
    name = next(name for name in told if name.startswith("best-of-n@"))
    spec = many.json(f"ranked/baselines/{name}", "manifest.json")["recipe"]["set"][-1]

    assert json.loads(spec.removeprefix("pipeline="))[1] == {"score": {"model": "judge"}}
