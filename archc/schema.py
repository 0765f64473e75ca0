"""Schema: the JSON Schema of the YAML form, from the same classes that check it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from archc import backends, ops
from archc.spec.model import Budget, SharedOptions


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that completes and checks specs in an editor."""
    defs: dict[str, Any] = {}
    steps = [_step(name, defs) for name in ops.names()]
    defs["step"] = {"anyOf": [*steps, {"enum": list(ops.names()), "description": "An op without arguments."}]}
    defs["sequence"] = {"type": "array", "items": {"anyOf": [_ref("step"), _ref("layer")]}, "minItems": 1}
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
            "rules": {"enum": ["open", "archon"], "default": "open", "description": "Which compositions are allowed."},
            "pipeline": _ref("sequence") | {"description": "The steps, in order."},
        },
        "$defs": defs,
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _step(name: str, defs: dict[str, Any]) -> dict[str, Any]:
    op = ops.op_class(name)
    args = _embedded(op, defs)
    if not args.get("required"):
        args = {"anyOf": [args, {"type": "null"}]}
    return {"type": "object", "additionalProperties": False, "required": [name], "properties": {name: args}}


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
    return schema
