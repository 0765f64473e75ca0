"""Schema: the JSON Schema of the YAML form, from the same classes that check it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from archc import backends, ops
from archc.ir.control import Control, parameters_with
from archc.ir.region import Region
from archc.spec.model import Budget, SharedOptions


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that completes and checks specs in an editor."""
    defs: dict[str, Any] = {}
    steps = [_step(name, defs) for name in ops.names()]
    words = {"type": "string", "description": "An op without arguments, `keep`, `nothing`, or a name from `let`."}
    defs["step"] = {"anyOf": [*steps, _USE, {"enum": list(ops.names())}, words]}
    defs["sequence"] = {
        "type": "array",
        "description": "Steps one after the other; a list among them is a layer. Names (`let`) stand first.",
        "items": {"anyOf": [_ref("step"), _ref("layer"), _ref("let")]},
    }
    defs["let"] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["let"],
        "properties": {"let": {"type": "object", "additionalProperties": _ref("sequence")}},
        "description": "Names for what pipelines give, to be used like steps.",
    }
    defs["layer"] = {
        "type": "array",
        "description": "Branches that run side by side; a list inside is a branch of several steps.",
        "items": {"anyOf": [_ref("step"), _ref("sequence")]},
        "minItems": 1,
    }
    models = [_model(name, defs) for name in backends.names()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archc spec",
        "type": "object",
        "additionalProperties": False,
        "required": ["pipeline"],
        "properties": {
            "name": {"type": "string", "description": "A name for reports; the file's by default."},
            "models": {
                "type": "object",
                "description": "The models that steps ask, by name.",
                "additionalProperties": {"anyOf": models},
            },
            "budget": _embedded(Budget, defs),
            "params": {"type": "object", "description": "Values that users give, by name: a default, or null."},
            "require": {"type": "array", "items": {"type": "string"}, "description": "Conditions over the params."},
            "rules": {"enum": ["open", "archon"], "default": "open", "description": "Which compositions are allowed."},
            "pipeline": _ref("sequence") | {"minItems": 1, "description": "The steps, in order."},
        },
        "$defs": defs,
    }


_PARAM = {"type": "string", "pattern": r"^\$\w+$", "description": "The value of a param."}

_USE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["use"],
    "properties": {
        "use": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["spec"],
                    "properties": {"spec": {"type": "string"}, "with": {"type": "object"}},
                },
            ],
            "description": "Another spec, by its path beside this one, with values for its params.",
        }
    },
}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _step(name: str, defs: dict[str, Any]) -> dict[str, Any]:
    op = ops.op_class(name)
    args = _embedded(op, defs)
    properties = args["properties"]
    if issubclass(op, Control) and op.unrolled:
        properties |= {key: _ref("sequence") for key in parameters_with(op, Region)}
    forms = [args | {"properties": {key: {"anyOf": [value, _PARAM]} for key, value in properties.items()}}]
    if op.main in properties:
        forms.append(properties[op.main])
    if parameters_with(op, Region):
        forms.append(_ref("sequence"))
    if not args.get("required"):
        forms.append({"type": "null"})
    return {"type": "object", "additionalProperties": False, "required": [name], "properties": {name: {"anyOf": forms}}}


def _model(name: str, defs: dict[str, Any]) -> dict[str, Any]:
    """The keys that all backends share and this one's own. `${VAR}` may stand for any value."""
    shared, own = _embedded(SharedOptions, defs), _embedded(backends.backend_class(name).Options, defs)
    properties = {**shared["properties"], **own["properties"], "backend": {"const": name}}
    variable = {"type": "string", "pattern": r"\$\{"}
    properties = {key: {"anyOf": [value, variable]} if key != "backend" else value for key, value in properties.items()}
    required = [key for key in own.get("required", []) if key != "backend"]
    if name != SharedOptions().backend:
        required.append("backend")
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def _embedded(kind: type[BaseModel], defs: dict[str, Any]) -> dict[str, Any]:
    schema = kind.model_json_schema(ref_template="#/$defs/{model}")
    defs |= schema.pop("$defs", {})
    embedded = _with_pipelines(schema)
    assert isinstance(embedded, dict)
    return embedded


def _with_pipelines(schema: Any) -> Any:
    """The schema with each block as a pipeline."""
    if isinstance(schema, list):
        return [_with_pipelines(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _with_pipelines(part) for key, part in schema.items() if key not in ("x-archc", "type")}
    match schema.get("x-archc"):
        case "pipeline":
            return {**kept, **_ref("sequence")}
        case "condition":
            return {**kept, "type": "string", "examples": ["agreement >= 0.8"]}
        case _:
            return {**schema, **kept}
