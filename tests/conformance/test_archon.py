"""All 292 configs published with Archon, against what the reference did with them (its census)."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from archc import lowering, passes
from archc.calls import Request
from archc.diagnostics import Diagnostic, SpecError
from archc.ops import VOCABULARY
from archc.ops.fuse import Fuse
from archc.planning import plan as planning
from archc.planning.plan import Plan
from archc.runtime.run import Run
from archc.source import Source
from archc.spec.document import read_document, write_document
from archc.spec.foreign.archon import Semantics, read_archon
from archc.spec.foreign.archon_export import write_archon
from archc.spec.located import Located, plain
from archc.spec.reading import read_spec
from tests.fakes import Scripted, answer

DATA = Path(os.environ.get("ARCHC_DATA") or Path(__file__).parents[3] / "shared" / "data") / "archon_configs"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no configs at {DATA}; ARCHC_DATA names the folder of data")

ENVIRON = {"ARCHC_CONFIG": str(DATA / "no-config.toml"), "BEDROCK_BASE_URL": "http://localhost:9/v1"}
"""Amazon's host has no key that is bound by itself."""

SEMANTICS: tuple[Semantics, ...] = ("compat", "fixed")
MIXED = "archon-70Bx10_SOTA_1_samples_then_critic_then_fuse_with_Claude_3.5_Sonnet.json"
STALE = (
    "best_performing_configs/mix_eval_hard/archon-70Bx8_1_samples_3_layers_then_critic_then_rank_top5_then_critic"
    "_then_verifier_then_fuser_with_Qwen2_72B-all_one_sample.json"
)
QUESTION = "What is the answer?"
QUICKSTART = "quickstart-advanced.json"


@dataclass(frozen=True)
class Config:
    """One file with what is known of it."""

    source: Source
    facts: Mapping[str, Any]
    root: Located
    found: tuple[Diagnostic, ...]

    def compiled(self) -> Plan:
        """As every caller does it: what was found stands on the spec. Raises SpecError."""
        spec = read_spec(self.source, self.root)
        return planning.plan(lowering.lower(replace(spec, mistakes=(*spec.mistakes, *self.found)), ENVIRON))


@cache
def census() -> Mapping[str, Mapping[str, Any]]:
    return dict(json.loads((DATA / "census.json").read_text(encoding="utf-8")))


@cache
def configs(semantics: Semantics) -> Mapping[str, Config]:
    texts = {name: Source(name, (DATA / name).read_text(encoding="utf-8")) for name in census()}
    read = {name: read_archon(source, semantics) for name, source in texts.items()}
    return {name: Config(texts[name], census()[name], root, tuple(found)) for name, (root, found) in read.items()}


def compiled(semantics: Semantics) -> Iterator[tuple[Config, Plan]]:
    """Those that compile."""
    for config in configs(semantics).values():
        try:
            yield config, config.compiled()
        except SpecError:
            continue


def refused(semantics: Semantics) -> dict[str, list[Diagnostic]]:
    """What stops the others."""
    stopped = {}
    for name, config in configs(semantics).items():
        try:
            config.compiled()
        except SpecError as error:
            stopped[name] = list(error.diagnostics)
    return stopped


# ---- a world in which every judge is content and every reply is readable


def perfect(request: Request, i: int) -> str:
    properties = json.loads(request.schema)["properties"] if request.schema else {}
    match request.purpose.op, request.purpose.prompt:
        case "critique", _:
            numbers = range(1, properties["critiques"]["minItems"] + 1)
            critiques = [{"id": n, "strengths": "clear", "weaknesses": "none"} for n in numbers]
            return json.dumps({"critiques": critiques})
        case "rank", _:
            return json.dumps({"ranking": list(range(1, properties["ranking"]["minItems"] + 1))})
        case "verify", "verdict":
            return json.dumps({"explanation": "it is right", "verdict": "correct"})
        case "write_tests", _:
            return json.dumps({"tests": [f"The answer has part {n}" for n in range(properties["tests"]["maxItems"])]})
        case "evaluate", _:
            numbers = range(1, properties["results"]["minItems"] + 1)
            return json.dumps({"results": [{"test": n, "passed": True} for n in numbers]})
        case _:
            return f"draft {request.seeds[i]}"


@cache
def runs() -> tuple[tuple[Config, Plan, Run], ...]:
    return tuple(
        (config, made, answer(made, {m.name: Scripted(perfect) for m in made.graph.models}, question=QUESTION))
        for config, made in compiled("compat")
    )


def width(made: Plan, run: Run) -> int:
    """How many candidates there are before one is taken at random, as Archon does it at the end."""
    [last] = made.graph.outputs if len(made.graph.outputs) == 1 else [""]
    if last and made.graph.by_id[last].op.name == "select":
        return sum(run.nodes[node].candidates for node in made.graph.by_id[last].inputs)
    return len(run.candidates)


# ---- reading


def test_all_load() -> None:
    found = configs("compat")

    assert len(found) == 292
    assert names(found, "repaired-json") == having("invalid_json")
    bare = {name for name, config in found.items() if "'form': 'component'" in str(plain(config.root))}
    assert bare == having("bare_component_layer")
    assert len(bare) == 2


def names(found: Mapping[str, Config], diagnostic: str, key: str = "", owner: str = "") -> set[str]:
    """The files with that warning, about that key on such an owner."""
    return {
        name
        for name, config in found.items()
        for d in config.found
        if d.name == diagnostic and getattr(d, "key", "") == key and owner in getattr(d, "owner", "")
    }


def having(irregularity: str) -> set[str]:
    """The files that the census calls so."""
    return {name for name, facts in census().items() if irregularity in facts["irregular"]}


@pytest.mark.parametrize(
    ("irregularity", "key", "owner"),
    [
        ("top_k_on_generator", "top_k", "generator"),
        ("top_k_on_fuser", "top_k", "fuser"),
        ("top_k_on_critic", "top_k", "critic"),
        ("ranker_batch_size_on_critic", "ranker_batch_size", "critic"),
        ("ranker_batch_size_on_fuser", "ranker_batch_size", "fuser"),
        ("batch_num", "batch_num", "verifier"),
        ("checkpoint", "checkpoint", ""),
        ("length_contorl", "length_contorl", "fuser"),
        ("fuse_generations_count", "fuse_generations_count", "fuser"),
        ("ranker_config", "ranker_config", "fuser"),
        ("top_k_generations", "top_k_generations", "fuser"),
        ("dict_layer", "branches", "layer"),
    ],
)
def test_irregular_keys_are_warned_about_by_name(irregularity: str, key: str, owner: str) -> None:
    found = configs("compat")

    # the two files that are no JSON have no other irregularities in the census
    assert names(found, "ignored-key", key=key, owner=owner) - having("invalid_json") == having(irregularity)
    assert names(found, "ignored-key", key=key, owner=owner)


def test_each_key_is_told_once_a_file() -> None:
    for name, config in configs("fixed").items():
        keys = Counter(getattr(d, "key", "") for d in config.found if d.name in ("ignored-key", "misspelt-key"))
        assert all(count == 1 for count in keys.values()), name


def test_the_typo_counts_in_fixed_semantics_only() -> None:
    assert names(configs("fixed"), "misspelt-key", "length_contorl") == having("length_contorl")
    for name in having("length_contorl"):
        misspelt = configs("fixed")[name].source.text.count("length_contorl")
        short = {semantics: shortened(configs(semantics)[name].compiled()) for semantics in SEMANTICS}
        assert short["fixed"] - short["compat"] == misspelt == 8


def shortened(made: Plan) -> int:
    return sum(isinstance(node.op, Fuse) and node.op.length_control for node in made.graph.nodes)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_what_is_written_back_is_what_was_read(semantics: Semantics) -> None:
    for name, config in configs(semantics).items():
        text = re.sub(r'"generator"tor"(tor")?', '"generator"', config.source.text)
        assert json.loads(write_archon(config.root)) == json.loads(text), name


def test_the_way_through_both_forms_leads_back() -> None:
    """JSON to .arch to YAML to JSON, as text."""
    for config in configs("fixed").values():
        document = read_document(config.source, VOCABULARY)
        for form in ("arch", "yaml"):
            text = write_document(document, form, VOCABULARY)
            document = read_document(Source(f"config.{form}", text), VOCABULARY)

        assert json.loads(write_document(document, "archon", VOCABULARY)) == json.loads(write_archon(config.root))


def test_reading_twice_gives_the_same() -> None:
    for name in (QUICKSTART, STALE, MIXED):
        config = configs("compat")[name]
        assert read_archon(config.source, "compat") == (config.root, list(config.found))


# ---- compiling


def test_the_plan_bounds_calls_as_the_census_does() -> None:
    exact = {
        config.source.name: (made.cost.calls.hi, config.facts["max_calls"])
        for config, made in compiled("compat")
        if "max_calls" in config.facts and not config.facts["early_exit"]
    }

    assert len(exact) == 241
    assert {name: pair for name, pair in exact.items() if pair[0] != pair[1]} == {}


def test_the_same_compile_in_both_semantics_but_for_critiques_of_the_wrong_number() -> None:
    pairwise = having("pairrm")

    assert len(pairwise) == 5
    assert refused("fixed").keys() == {*pairwise, MIXED}
    assert refused("compat").keys() == {*pairwise, MIXED, STALE}


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_the_mixed_first_layer_is_told_with_file_and_layer(semantics: Semantics) -> None:
    config = configs(semantics)[MIXED]
    [warning] = [d for d in config.found if d.name == "layer-rule"]

    assert warning.headline == "layers[0] breaks a rule of Archon: a layer holds one kind of component"
    assert str(warning.span) == f"{MIXED}:54:17"
    assert [d.name for d in refused(semantics)[MIXED]] == ["nothing-to-read"] * 2


def test_critiques_that_outlive_their_candidates_are_told_with_file_and_layer() -> None:
    [silent] = [d for d in configs("compat")[QUICKSTART].found if "critiques" in d.name]
    [crash] = refused("compat")[STALE]
    gone = [d for name in (QUICKSTART, STALE) for d in configs("fixed")[name].found if "critiques" in d.name]

    assert silent.headline == (
        "the critiques of layers[1] do not reach layers[3]: critiques end with what they describe"
    )
    assert crash.name == "mismatched-critiques"
    assert crash.headline == "layers[6] gets 6 candidates but 5 critiques, left over from layers[2]"
    assert str(crash.span).startswith(f"{STALE}:226:")
    assert [d.name for d in gone] == ["stale-critiques"] * 2
    assert {n for n, c in configs("compat").items() if any("critiques" in d.name for d in c.found)} == {
        QUICKSTART,
        STALE,
    }


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_pairrm_is_refused_by_name(semantics: Semantics) -> None:
    stopped = refused(semantics)
    for name in having("pairrm"):
        assert "pairwise-model" in [d.name for d in configs(semantics)[name].found]
        assert [d.headline for d in stopped[name]] == ["there is no backend `pairwise-reward-model`"]


def test_models_have_short_names_and_one_entry_each() -> None:
    plans = {config.source.name: made for config, made in compiled("fixed")}
    seen = {model.name: model.shared.model for made in plans.values() for model in made.graph.models}

    assert seen["llama_3_1_405b"] == "meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo"
    assert seen["qwen1_5_110b"] == "Qwen/Qwen1.5-110B-Chat"
    assert seen["claude_3_5_sonnet"] == "claude-3-5-sonnet-20240620"
    assert max(map(len, seen)) <= 32
    for made in plans.values():
        where = [(m.shared.model, m.options.model_dump_json()) for m in made.graph.models]
        assert len(set(where)) == len(where)


def test_fixed_semantics_leave_unread_what_nobody_is_to_see() -> None:
    unread = {config.source.name: passes.optimise(made.graph)[0].removed for config, made in compiled("fixed")}
    replaced = "archon-8-proposer-2-layer-qwen110b-fuser.json"  # its second layer starts from the question again
    hidden = "archon-SOTA-modelsx8_1_samples_then_critic_then_rank_top5_then_critic_then_fuser.json"

    assert {name: len(steps) for name, steps in unread.items() if steps} == {replaced: 8, hidden: 1}


# ---- running


def test_calls_made_are_those_of_the_reference() -> None:
    made = {config.source.name: run.spent.calls for config, _, run in runs()}
    expected = {name: facts["ref_mock_calls"] for name, facts in census().items() if facts["ref_stage"] == "ok"}

    assert len(expected) == 281
    assert {name: made.get(name) for name in expected} == expected


def test_every_run_stays_within_its_plan() -> None:
    for config, made, run in runs():
        assert run.status == "ok"
        assert run.answer
        assert made.cost.calls.contains(run.spent.calls), config.source.name
        assert not [note for note in run.notes if note["event"] in ("refused",)], config.source.name


def test_as_many_candidates_are_left_as_in_the_reference() -> None:
    left = {config.source.name: width(made, run) for config, made, run in runs()}
    expected = {name: facts["ref_final_width"] for name, facts in census().items() if facts["ref_stage"] == "ok"}

    assert {name: left.get(name) for name in expected} == expected
    assert all(len(run.candidates) == 1 for _, _, run in runs())


def test_generators_see_the_tests_that_came_before_them_and_the_question_stays_as_it_is() -> None:
    for config, made, _ in runs():
        if not config.facts.get("pattern", "").startswith("unit_test_generator") or made.cost.calls.hi > 50:
            continue
        backends = {m.name: Scripted(perfect) for m in made.graph.models}
        answer(made, backends, question=QUESTION)
        requests = [r for backend in backends.values() for r in backend.requests]
        prompts = {r.messages[-1].content for r in requests if r.purpose.op == "generate"}
        assert len(prompts) == 1
        assert prompts.pop().count("The answer has part 0") == 1
        assert {r.purpose.question for r in requests} == {QUESTION}
