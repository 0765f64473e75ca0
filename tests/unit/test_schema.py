"""The JSON Schema: every key has a description, its default, and takes what archc takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from archc import api, backends, ops
from archc.ir.statistics import UNITS
from archc.ops import VOCABULARY
from archc.schema import CONDITION, json_schema
from archc.source import Source
from archc.spec.arch.reader import read_arch
from archc.spec.located import Choice, Leaf, Listing, Located, Table
from archc.spec.model import Budget, SharedOptions
from archc.spec.reading import BESIDE, KEYS
from archc.spec.space.ranges import range_text
from archc.spec.yaml import read_yaml

ROOT = Path(__file__).parents[2]
HEAD = "models: {m: {backend: simulated}}\n"


def is_valid(text: str) -> bool:
    value = untagged(read_yaml(Source("spec.yaml", text)))
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(value))


def untagged(value: Located) -> Any:
    """What JSON Schema sees: a choice is the list or the text under its tag."""
    match value:
        case Choice(options=options, range=numbers):
            return range_text(numbers) if numbers else [untagged(option) for option in options]
        case Leaf(value=plain):
            return plain
        case Listing(items=items):
            return [untagged(item) for item in items]
        case Table(entries=entries):
            return {entry.key: untagged(entry.value) for entry in entries}


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that the schema knows, at every depth."""
    parts = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for name, part in parts:
        if name == "properties":
            yield from ((f"{path}.{key}", value) for key, value in part.items())
        yield from properties(part, f"{path}.{name}")


def fields() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "budget", Budget
    for name in ops.names():
        yield f"op-{name}", ops.op_class(name)
    for name in backends.names():
        yield f"model-{name}", SharedOptions
        yield f"model-{name}", backends.backend_class(name).Options


def keys_of(place: str) -> Any:
    root = json_schema()
    return (root["properties"] if place in root["properties"] else root["$defs"])[place]["properties"]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())

    assert set(json_schema()["properties"]) == {*KEYS, BESIDE}


def test_every_key_at_every_level_has_a_description() -> None:
    found = dict(properties(json_schema()))

    assert len(found) > 150
    assert [path for path, value in found.items() if not value.get("description")] == []


def test_every_field_with_a_default_shows_it() -> None:
    for place, kind in fields():
        shown = keys_of(place)
        for name, field in kind.model_fields.items():
            known = shown[field.alias or name]
            if field.is_required() or (name == "backend" and place != "model-llamacpp"):
                assert "default" not in known, (place, name)
            else:
                assert "default" in known, (place, name)


def test_required_keys_are_those_without_a_default() -> None:
    for name in ops.names():
        required = {f.alias or key for key, f in ops.op_class(name).model_fields.items() if f.is_required()}

        assert set(json_schema()["$defs"][f"op-{name}"].get("required", [])) == required


@pytest.mark.parametrize("name", ops.names())
def test_conditions_list_the_names_with_their_units(name: str) -> None:
    for key in VOCABULARY.conditions(name):
        assert CONDITION in keys_of(f"op-{name}")[key]["description"]
    assert [name for name, unit in UNITS.items() if f"`{name}` ({unit}): " not in CONDITION] == []


@pytest.mark.parametrize(
    "steps",
    [
        "generate: m",
        "generate: $writer",
        "generate: {model: $writer, n: $k}",
        "generate: {model: m, n: !choice [1, 2, 4], temperature: !choice 0.2..1.0}",
        "generate: {model: !choice [m, $other], max_tokens: !choice 64..256 step 64}",
        "!choice [verify: {model: m}, [write_tests: {model: m}, evaluate: {model: m}], []]",
        "keep",
        "[keep, nothing, {refine: {model: m}}]",
        "vote:",
        "drafts",
        "let: {drafts: [generate: m]}",
        'repeat: {times: 3, until: "agreement >= 0.8", do: [critique: m]}',
        "repeat: {times: !choice 1..4, until: !choice [round > 2, false], do: [critique: m]}",
        "repeat: {times: 2, until: null, do: [critique: m]}",
        "when: {condition: true, then: [fuse: m], else: !choice [[abstain], [vote]]}",
        "each: [critique: m]",
        "until: {condition: confidence >= 95%, max: 40, do: [generate: m, extract: number]}",
        "race: {branches: [[generate: m], [generate: m, verify: m]]}",
        "cascade: {models: [m, n], until: agreement == 1, do: [generate: {model: $model, n: 5}]}",
        "deadline: {seconds: 10, do: [vote]}",
        "budget: {calls: $most, do: [vote]}",
        "fold: {window: 6, do: [fuse: m]}",
        "use: refine.yaml",
        "use: {spec: refine.yaml, with: {writer: m}}",
    ],
)
def test_it_takes_every_form_of_a_step(steps: str) -> None:
    assert is_valid(f"{HEAD}pipeline:\n  - {steps}")


@pytest.mark.parametrize(
    "key",
    [
        "params: {writer: null, k: 4, w: !choice [0, 2, 4]}",
        "budget: {calls: 64, tokens: $t, usd: !choice [0.1, 0.2], on_exhausted: error}",
        'models: {m: {backend: openai, model: $m, base_url: "${URL:-http://a}", price: {prompt: $p, completion: 1}}}',
        'models: {m: {model: "${MODEL}", concurrency: "${SLOTS}"}}',
        'require: ["k * w <= 24"]',
        "require: k > 1",
        "archon: {layers: {}}",
        "name: demo\nrules: archon",
    ],
)
def test_it_takes_every_key(key: str) -> None:
    assert is_valid(f"{key}\npipeline: [vote]")


@pytest.mark.parametrize("path", sorted((ROOT / "search").rglob("*.arch")), ids=lambda path: path.stem)
def test_it_takes_spaces(path: Path) -> None:
    root = read_arch(api.read(path), VOCABULARY)[0]

    jsonschema.Draft202012Validator(json_schema()).validate(untagged(root))


@pytest.mark.parametrize(
    "text",
    [
        "pipeline: vote",
        "pipeline: [{}]",
        "pipeline: [1]",
        "pipeline: [[]]\nlet: {}",
        "pipeline: [{generate: {model: m, n: !choice [1, x]}}]",
        "pipeline: [{generate: {model: m, n: many}}]",
        "pipeline: [{generate: {model: m, temperature: 3}}]",
        "pipeline: [{generate: }]",
        "pipeline: [{generate: {n: 2}}]",
        "pipeline: [{repeat: {times: 3}}]",
        "pipeline: [{repeat: {times: 3, do: {critique: m}}}]",
        "pipeline: [{when: {condition: 0.5, then: [vote]}}]",
        "pipeline: [{race: {branches: [[vote]]}}]",
        "pipeline: [{use: {path: a.yaml}}]",
        "pipeline: [{vote: {by: lot}}]",
        "pipeline: [vote]\nbudget: {calls: 0}",
        "pipeline: [vote]\nmodels: [m]",
        "pipeline: [vote]\nmodels: {m: {backend: openai, price: {prompt: 1}}}",
        "pipeline: [vote]\nmodels: {m: {backend: nonsense}}",
        "pipeline: [vote]\nrequire: {k: 1}",
        "pipeline: [vote]\nparams: [k]",
        "pipeline: [vote]\nname: 3",
    ],
)
def test_it_refuses_what_is_wrong(text: str) -> None:
    assert not is_valid(text)
