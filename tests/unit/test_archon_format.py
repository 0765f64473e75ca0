"""Archon's format on small configs: what a component becomes, what is told, and the way back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc import lowering, ops
from archc.diagnostics import Diagnostic, SpecError
from archc.ops import op_class
from archc.planning.plan import Plan, plan
from archc.source import Source
from archc.spec.foreign.archon import Semantics, read_archon
from archc.spec.foreign.archon_export import write_archon
from archc.spec.foreign.archon_steps import DEFAULTS, OPS
from archc.spec.located import plain
from archc.spec.reading import read_spec
from archc.spec.yaml import read_yaml

SEMANTICS: tuple[Semantics, ...] = ("fixed", "compat")
BASE = {"model": "Qwen/Qwen2-72B-Instruct", "model_type": "Together_API", "temperature": 0.7, "max_tokens": 512}


def part(kind: str, **keys: Any) -> dict[str, Any]:
    return {"type": kind, **BASE, "samples": 1, **keys}


def config(*layers: Any, **keys: Any) -> Source:
    return Source("c.json", json.dumps({"name": "c", "layers": list(layers), **keys}, indent=1))


def steps(source: Source, semantics: Semantics = "fixed") -> Any:
    return plain(read_archon(source, semantics)[0])["pipeline"]


def told(source: Source, semantics: Semantics = "fixed") -> list[str]:
    return [d.headline for d in read_archon(source, semantics)[1]]


def wrong(source: Source) -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        read_archon(source)
    return list(caught.value.diagnostics)


def compiled(source: Source, semantics: Semantics = "fixed", **environ: str) -> Plan:
    return plan(lowering.lower(read_spec(source, read_archon(source, semantics)[0]), environ))


GENERATORS = [part("generator"), part("generator", model="gpt-4o", model_type="OpenAI_API", samples=3)]
CRITIC, FUSER = part("critic"), part("fuser")


# ---- components


def test_layers_become_steps() -> None:
    made = steps(config(GENERATORS, [CRITIC], [part("ranker", top_k=2, use_critiques=True)], [FUSER]))

    assert [[next(iter(s)) for s in (x if isinstance(x, list) else [x])] for x in made] == [
        ["generate", "generate"],
        ["critique"],
        ["rank"],
        ["fuse"],
    ]
    assert made[0][1] == {"generate": {"model": "gpt_4o", "n": 3, "temperature": 0.7, "max_tokens": 512}}
    assert made[2] == {"rank": {"model": "qwen2_72b", "top_k": 2, "temperature": 0.7, "max_tokens": 512}}


@pytest.mark.parametrize("form", [lambda c: c, lambda c: {"branches": 1, "models": c}, lambda c: c[0]])
def test_three_forms_of_a_layer(form: Any) -> None:
    source = config(form([part("generator")]))

    assert steps(source) == [{"generate": {"model": "qwen2_72b", "temperature": 0.7, "max_tokens": 512}}]
    assert json.loads(write_archon(read_archon(source)[0])) == json.loads(source.text)


def test_flags_count_as_written_in_fixed_semantics_and_as_archon_reads_them_in_compat() -> None:
    typo = part("fuser", length_contorl=True)
    length = part("fuser", length_control=True)
    ranker = part("ranker", top_k=1)
    source = config(GENERATORS, [typo], [length], [CRITIC], [ranker], [length])

    assert [s.get("fuse", s.get("rank", {})).get("length_control") for s in steps(source)[1:]] == [
        True,
        True,
        None,
        None,
        True,
    ]
    assert [s.get("fuse", {}).get("length_control") for s in steps(source, "compat")[1:]] == [
        None,
        None,
        None,
        None,
        True,
    ]
    assert steps(source)[4]["rank"]["use_critiques"] is False
    assert "use_critiques" not in steps(source, "compat")[4]["rank"]


def test_generators_see_tests_that_come_before_them() -> None:
    tests = part("unit_test_generator", unit_test_cap=4)
    judge = part("unit_test_evaluator", remove_unit_tests_from_prompt=True, top_k=2)
    made = steps(config(GENERATORS[1:], [tests], GENERATORS[1:], [judge]))

    assert "use_tests" not in made[0]["generate"]
    assert made[2]["generate"]["use_tests"] is True
    assert made[1]["write_tests"]["n"] == 4
    assert made[3]["evaluate"]["k"] == 2


@pytest.mark.parametrize(
    ("keys", "args"),
    [
        ({}, {"k": 4}),  # all that arrive
        ({"top_k": 2}, {"k": 2}),
        ({"first_pass": True, "top_k": 1}, {"policy": "first_k", "k": 1}),
        ({"first_k": 3, "first_pass": True}, {"policy": "first_k", "k": 3}),
        ({"first_pass": False, "top_k": 1}, {"k": 1}),
    ],
)
def test_how_an_evaluator_keeps(keys: dict[str, Any], args: dict[str, Any]) -> None:
    judge = part("unit_test_evaluator", remove_unit_tests_from_prompt=True, **keys)
    source = config([part("unit_test_generator")], GENERATORS, [judge])
    made = steps(source)[2]["evaluate"]

    assert {key: made[key] for key in made if key in ("policy", "k")} == args
    assert json.loads(write_archon(read_archon(source)[0])) == json.loads(source.text)


def test_compat_asks_once_and_takes_any_of_several_answers() -> None:
    source = config(GENERATORS, [part("verifier", first_k=2)])

    assert steps(source, "compat")[-2:] == [
        {"verify": {"model": "qwen2_72b", "first_k": 2, "temperature": 0.7, "max_tokens": 512, "repair": False}},
        {"select": {"by": "random"}},
    ]
    assert told(source, "compat") == ["this ends with up to 2 candidates, of which a random one is the answer"]
    assert told(source) == ["this ends with up to 2 candidates, of which the first is the answer (Archon takes any)"]
    assert compiled(source, "compat").cost.calls.hi == 4 + 8
    assert compiled(source).cost.calls.hi == 4 + 8 + 4


def test_the_legacy_name_of_max_tokens() -> None:
    old = {key: value for key, value in part("generator", max_context_length=99).items() if key != "max_tokens"}
    source = config([old])

    assert steps(source)[0]["generate"]["max_tokens"] == 99
    assert told(source) == []
    assert json.loads(write_archon(read_archon(source)[0])) == json.loads(source.text)


# ---- models


def test_a_model_is_declared_once_for_each_provider() -> None:
    other = part("generator", model_type="vLLM")
    models = plain(read_archon(config([part("generator"), other, part("generator")]))[0])["models"]

    assert models == {
        "qwen2_72b": {
            "backend": "openai",
            "model": "Qwen/Qwen2-72B-Instruct",
            "base_url": "${TOGETHER_BASE_URL:-https://api.together.xyz/v1}",
        },
        "qwen2_72b_instruct": {
            "backend": "openai",
            "model": "Qwen/Qwen2-72B-Instruct",
            "base_url": "${VLLM_BASE_URL:-http://localhost:8000/v1}",
        },
    }


def test_a_provider_that_is_not_known_asks_for_its_address() -> None:
    source = config([part("generator", model_type="My-Own")])

    assert told(source) == ["the address of the provider `My-Own` is not known"]
    assert json.loads(write_archon(read_archon(source)[0])) == json.loads(source.text)
    assert compiled(source, MY_OWN_BASE_URL="http://localhost:1/v1")
    with pytest.raises(SpecError, match="MY_OWN_BASE_URL"):
        compiled(source)


def test_pairrm_is_declared_for_a_backend_that_nobody_has() -> None:
    source = config(GENERATORS, [part("ranker", model="llm-blender/PairRM", model_type="", top_k=1)])

    assert told(source) == [
        "`llm-blender/PairRM` is a pairwise reward model, which no backend serves, so nothing can be run"
    ]
    with pytest.raises(SpecError, match="there is no backend `pairwise-reward-model`"):
        compiled(source)
    assert json.loads(write_archon(read_archon(source)[0])) == json.loads(source.text)


# ---- what is told


def test_each_key_without_effect_is_told_once() -> None:
    source = config([part("generator", top_k=1, wings=2)] * 2, [part("fuser", top_k=1, sample=3)], save_path="x")

    assert told(source) == [
        "`top_k` changes nothing on a generator or a fuser (written 3 times)",
        "`wings` changes nothing on a generator (written 2 times)",
        "`sample` changes nothing on a fuser (written once)",
        "`save_path` changes nothing on the config (written once)",
    ]
    [_, _, sample, _] = read_archon(source)[1]
    assert sample.advice == "did you mean `samples`?"


def test_crowded_and_mixed_layers() -> None:
    mixed = config([part("generator"), FUSER], [FUSER])
    crowded = config(GENERATORS, [CRITIC, CRITIC], [FUSER])

    assert told(mixed) == ["layers[0] breaks a rule of Archon: a layer holds one kind of component"]
    assert told(crowded) == ["layers[1] breaks a rule of Archon: `critic` is alone in its layer"]
    assert [d.severity for d in read_archon(crowded)[1]] == ["error"]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([GENERATORS, [CRITIC], [FUSER], [FUSER]], ("stale-critiques", "mismatched-critiques")),
        ([GENERATORS, [CRITIC], [FUSER] * 4, [part("verifier")]], ("stale-critiques", "stale-critiques")),
        ([GENERATORS, [CRITIC], [FUSER] * 4, [part("critic")], [FUSER]], (None, None)),
        ([GENERATORS, [CRITIC], [part("ranker", top_k=2)], [FUSER]], (None, None)),
    ],
)
def test_critiques_that_outlive_their_candidates(layers: Any, expected: tuple[str | None, str | None]) -> None:
    seen: list[str | None] = []
    for semantics in SEMANTICS:
        names = [d.name for d in read_archon(config(*layers), semantics)[1] if "critiques" in d.name]
        assert len(names) <= 1
        seen.append(names[0] if names else None)

    assert tuple(seen) == expected


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("[]", "a config must be a mapping, not a list"),
        ("{}", "an Archon config needs `layers`"),
        ('{"layers": 3}', "`layers` must be a list, not a number"),
        ('{"layers": [3]}', 'a layer must be a list of components, one component, or {"models": […]}, not a number'),
        ('{"layers": [[3]]}', 'a component must be a mapping such as {"type": "generator", …}, not a number'),
        ('{"layers": [[{"type": "generator"}]]}', "a component needs `model`"),
        ('{"layers": [[{"type": "fusor", "model": "m"}]]}', "Archon has no component `fusor`"),
    ],
)
def test_what_is_no_config(text: str, headline: str) -> None:
    assert [d.headline for d in wrong(Source("c.json", text))] == [headline]


def test_a_wrong_value_is_told_at_its_place_in_the_json() -> None:
    source = config([part("generator", samples="many")])
    with pytest.raises(SpecError) as caught:
        compiled(source)

    [mistake] = caught.value.diagnostics
    assert mistake.span
    assert mistake.span.text == '"many"'
    assert mistake.headline == "`n` is wrong: it must be a whole number"


# ---- the way back


SPEC = """
name: demo
models:
  a: {backend: openai, model: m/a-7B, base_url: "https://api.together.xyz/v1", concurrency: 4}
pipeline:
"""


def exported(pipeline: str) -> Any:
    lines = "\n".join(f"  {line}" for line in pipeline.strip().splitlines())
    return json.loads(write_archon(read_yaml(Source("s.yaml", SPEC + lines))))


def test_a_spec_that_never_was_a_config() -> None:
    found = exported("- generate: {model: a, n: 4}\n- critique: {model: a}\n- rank: {model: a, top_k: 2}\n- fuse: a")

    assert [layer[0]["type"] for layer in found["layers"]] == ["generator", "critic", "ranker", "fuser"]
    assert found["layers"][0][0] == {
        "type": "generator",
        "model": "m/a-7B",
        "model_type": "Together_API",
        "temperature": 0.7,
        "max_tokens": 1024,
        "samples": 4,
    }
    assert found["layers"][2][0]["temperature"] == 0.0
    again = read_archon(Source("c.json", json.dumps(found)))[0]
    assert "archon" not in plain(again)


@pytest.mark.parametrize(
    ("pipeline", "what"),
    [
        ("- generate: {model: a}\n- vote", "`vote`"),
        ("- generate: {model: a, top_p: 0.5}", "this `top_p` of `generate`"),
        ("- generate: {model: a, prompt: hi}", "this `prompt` of `generate`"),
        ("- generate: {model: b}", "where the model `b` is"),
        ("- generate: {model: a, n: $k}", "an open choice or parameter"),
        ("- - generate: {model: a}\n  - [generate: a, fuse: a]", "a branch of several steps"),
        ("- generate: {model: a}\n- rank: a", "a `rank` that keeps all"),
        ("- write_tests: a\n- generate: a", "`use_tests: false` here"),
        ("- generate: {model: a, use_tests: true}", "`use_tests: true` here"),
        ("- generate: a\n- write_tests: a\n- evaluate: {model: a, policy: all_pass}", "this `policy` of `evaluate`"),
        ("[]", "a spec without steps"),
    ],
)
def test_what_archon_cannot_express(pipeline: str, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        exported(pipeline)

    assert [d.headline for d in caught.value.diagnostics] == [f"the Archon format cannot express {what}"]


def test_other_parts_of_a_spec_are_refused_by_name() -> None:
    text = SPEC.strip() + "\n  - generate: a\nbudget: {calls: 3}\n"
    with pytest.raises(SpecError, match="cannot express `budget`"):
        write_archon(read_yaml(Source("s.yaml", text)))


def test_an_edited_spec_says_what_it_says_now() -> None:
    judge = part("unit_test_evaluator", remove_unit_tests_from_prompt=True, first_pass=True)
    source = config([part("unit_test_generator")], [part("generator", top_k=1, samples=4)], [judge])
    text = json.dumps(plain(read_archon(source)[0])).replace('"k": 1', '"k": 2')
    [_, [generator], [evaluator]] = json.loads(write_archon(read_yaml(Source("s.yaml", text))))["layers"]

    assert generator["top_k"] == 1
    assert evaluator["first_k"] == 2
    assert "first_pass" not in evaluator


def test_the_defaults_are_those_of_the_ops() -> None:
    for op, defaults in DEFAULTS.items():
        fields = op_class(op).model_fields
        actual = {key: field.default for key, field in fields.items() if key != "model"}
        assert {key: list(v) if isinstance(v, tuple) else v for key, v in actual.items()} == dict(defaults), op
    assert set(OPS.values()) <= set(ops.names())


# ---- anything at all

WILD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(0, 2) | st.sampled_from(["", "m", "gpt-4o", *OPS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BASE, "models", "samples"]), inner),
    max_leaves=8,
)
KEYS = ("model_type", "temperature", "max_tokens", "samples", "top_k", "first_k", "first_pass", "length_control", "odd")
COMPONENT = st.fixed_dictionaries(
    {"type": st.sampled_from([*OPS]), "model": st.sampled_from(["a", "b/PairRM"])}, optional=dict.fromkeys(KEYS, WILD)
)
LAYERS = st.lists(
    st.lists(COMPONENT | WILD, max_size=3)
    | COMPONENT
    | st.fixed_dictionaries({"models": st.lists(COMPONENT)}, optional={"branches": WILD})
    | WILD,
    max_size=4,
)


@given(LAYERS | WILD, st.sampled_from(SEMANTICS))
def test_whatever_is_read_comes_back_and_only_diagnostics_are_raised(layers: Any, semantics: Semantics) -> None:
    text = json.dumps({"name": "c", "layers": layers})
    try:
        root, _ = read_archon(Source("c.json", text), semantics)
    except SpecError:
        return
    with suppress(SpecError):
        lowering.lower(read_spec(Source("c.json", text), root), {"ARCHON_BASE_URL": "http://localhost/v1"})
    with suppress(SpecError):
        assert json.loads(write_archon(root)) == json.loads(text)
