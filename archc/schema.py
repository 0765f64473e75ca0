"""Schema: the JSON Schema of the YAML form, from the same classes that check it.

Each key has a description, and a default where there is one. JSON Schema sees no tags: a choice is a list or a range
there, and `n: [1, 2]` passes with and without its `!choice`.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from pydantic import BaseModel

from archc import backends, ops
from archc.ir.control import Control, parameters_with
from archc.ir.region import Region
from archc.ir.statistics import ABOUT, UNITS
from archc.spec.model import Aims, Budget, SharedOptions

Schema = dict[str, Any]

WORDS = {
    "keep": "What arrives, unchanged: a branch of a layer.",
    "nothing": "No candidates: a branch that gives none.",
    "use": "Another spec, by its path beside this one, with values for its params.",
}
"""The words among steps that are no ops, and what they mean."""


@cache
def json_schema() -> Schema:
    """A JSON Schema (draft 2020-12) that completes and checks specs in an editor."""
    defs: Schema = {
        "param": {"type": "string", "pattern": r"^\$\w+$", "description": "The value of a param."},
        "range": {
            "type": "string",
            "pattern": r"^\s*[-+.\w]+\.\.[-+.\w]+(\s+step\s+[-+.\w]+)?\s*$",
            "description": "With the tag `!choice`: a number between these.",
        },
        "condition": {
            "type": ["string", "boolean", "array"],
            "items": {"type": ["string", "boolean"]},
            "description": CONDITION,
            "examples": ["agreement >= 0.8", "count > 2 or round == 1"],
        },
        "sequence": {
            "type": "array",
            "description": "Steps one after the other; a list among them is a layer. Names (`let`) stand first.",
            "items": {"anyOf": [_ref("step"), _ref("layer"), _ref("let")]},
        },
        "layer": {
            "type": "array",
            "description": "Branches that run side by side, a list inside is one of several steps; "
            "with the tag `!choice`: alternatives.",
            "items": {"anyOf": [_ref("step"), _ref("sequence")]},
            "minItems": 1,
        },
        "let": _table(let={"type": "object", "additionalProperties": _ref("sequence"), "description": _LET}),
    }
    defs["step"] = {"anyOf": [*(_step(name, defs) for name in ops.names()), _USE, *_WORDS, _NAMED]}
    models = [_model(name, defs) for name in backends.names()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archc spec",
        "description": "An inference-time architecture: models, and the steps that ask them.",
        "type": "object",
        "additionalProperties": False,
        "required": ["pipeline"],
        "properties": {
            "name": {"type": "string", "description": "A name for reports; the file's by default."},
            "rules": {
                "enum": ["open", "archon"],
                "default": "open",
                "description": "Which compositions are allowed: all, or those of the Archon paper.",
            },
            "params": {
                "type": "object",
                "description": "Values that users give, by name: a default, or null. `$name` stands for the value.",
                "default": {},
            },
            "models": {
                "type": "object",
                "description": "The models that steps ask, by name.",
                "default": {},
                "additionalProperties": {"anyOf": models},
            },
            "budget": _embedded(Budget, defs) | {"default": {}},
            "require": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "description": "Conditions over the params, such as `k * n <= 24`. They prune the space of choices.",
                "default": [],
            },
            "search": _embedded(Aims, defs) | {"description": "What `archc search` looks for; runs do not read it."},
            "pipeline": _ref("sequence") | {"minItems": 1, "description": "The steps, in order."},
            "archon": {
                "type": "object",
                "description": "What an Archon config said beside the spec that was made of it. Runs do not read it.",
            },
        },
        "$defs": defs,
    }


CONDITION = "A condition over what is there, with `and`, `or`, `not`, comparisons and arithmetic. Names: " + "; ".join(
    f"`{name}` ({UNITS[name]}): {about}" for name, about in ABOUT.items()
)

_LET = "Names for what pipelines give, to be used like steps."
_NAMED = {"type": "string", "description": "An op without arguments, or a name from `let`."}


def _table(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [next(iter(properties))],
        "properties": properties,
    }


_USE = _table(
    use={
        "anyOf": [
            {"type": "string", "description": "Its path."},
            _table(
                spec={"type": "string", "description": "The path of the spec, beside this one."},
                **{"with": {"type": "object", "description": "Values for its params, by name.", "default": {}}},
            ),
        ],
        "description": WORDS["use"],
    }
)
_WORDS = [{"const": word, "description": about} for word, about in WORDS.items() if word != "use"]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _step(name: str, defs: Schema) -> Schema:
    op = ops.op_class(name)
    args = _embedded(op, defs)
    properties = args["properties"]
    if issubclass(op, Control) and op.unrolled:
        for key in parameters_with(op, Region):
            properties[key] = _ref("sequence") | {"description": properties[key]["description"]}
    forms: list[Schema] = [_ref(f"op-{name}")]
    defs[f"op-{name}"] = args
    if op.main in properties:
        forms.append(properties[op.main])
    if parameters_with(op, Region):
        forms.append(_ref("sequence"))
    if not args.get("required"):
        forms.append({"type": "null", "description": "With its defaults."})
    return _table(**{name: {"anyOf": forms, "description": inspect.getdoc(op)}})


def _model(name: str, defs: Schema) -> Schema:
    """The keys that all backends share and this one's own. `${VAR}` may stand for any value."""
    shared, own = _embedded(SharedOptions, defs), _embedded(backends.backend_class(name).Options, defs)
    backend = {"const": name, "description": shared["properties"]["backend"]["description"]}
    required = [key for key in own.get("required", []) if key != "backend"]
    if name == SharedOptions().backend:
        backend["default"] = name
    else:
        required.append("backend")
    variable = {"type": "string", "pattern": r"\$\{", "description": "With a variable of the environment."}
    properties = {
        key: value | {"anyOf": [*value["anyOf"], variable]} if "anyOf" in value else value
        for key, value in {**shared["properties"], **own["properties"], "backend": backend}.items()
    }
    defs[f"model-{name}"] = {
        "type": "object",
        "description": inspect.getdoc(backends.backend_class(name)),
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }
    return _ref(f"model-{name}")


def _embedded(kind: type[BaseModel], defs: Schema) -> Schema:
    schema = kind.model_json_schema(ref_template="#/$defs/{model}")
    defs |= {name: _ours(part) for name, part in schema.pop("$defs", {}).items()}
    return _ours(schema) | {"description": inspect.getdoc(kind)}


def _ours(schema: Schema) -> Schema:
    """A schema of pydantic's with what the language adds."""
    kept = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in kept:
        kept["properties"] = {key: _property(value) for key, value in kept["properties"].items()}
    return kept


def _property(schema: Schema) -> Schema:
    """The value of a key: itself, a param, or a choice of such values; blocks and conditions as they are."""
    about: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    found = _marked(schema)
    if found:
        about["description"] += f" {CONDITION}" if "condition" in str(found) else ""
        return {**found, **about}
    value = {key: part for key, part in schema.items() if key not in ("title", *about)}
    alone = value["anyOf"] if list(value) == ["anyOf"] else [value]
    choice = {"type": "array", "items": {"anyOf": alone}, "minItems": 1, "description": "With the tag `!choice`: one."}
    ranges = [_ref("range")] if any(part.get("type") in ("integer", "number") for part in alone) else []
    return {**about, "anyOf": [*alone, _ref("param"), choice, *ranges]}


def _marked(schema: Schema) -> Schema:
    """What stands for a block, a list of blocks or a condition; empty for all else."""
    inner = [schema, *schema.get("anyOf", []), schema.get("items", {})]
    marks = [part["x-archc"] for part in inner if "x-archc" in part]
    if not marks:
        return {}
    held = _ref({"pipeline": "sequence"}.get(marks[0], marks[0]))
    if schema.get("type") == "array" and "items" in schema:
        return {"type": "array", "items": held, **{k: schema[k] for k in ("minItems", "maxItems") if k in schema}}
    return {"anyOf": [held, {"type": "null"}]} if "anyOf" in schema else held
