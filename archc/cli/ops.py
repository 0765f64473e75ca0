"""List the ops (or backends) with every parameter and default, from the code."""

from __future__ import annotations

import json
from typing import Any

import typer
from pydantic import BaseModel

from archc import backends, errors, ops
from archc.cli._options import AsJson
from archc.diagnostics import SpecError, did_you_mean
from archc.spec.model import SharedOptions

app = typer.Typer()


@app.command("ops")
def list_ops(
    name: str = typer.Argument("", help="Show only this one, in full."),
    of_backends: bool = typer.Option(False, "--backends", help="List the backends instead."),
    as_json: AsJson = False,
) -> None:
    """List the ops (or backends) with every parameter and default, from the code."""
    known = backends.names() if of_backends else ops.names()
    if name and name not in known:
        raise SpecError(errors.UnknownOp(op=name, hint=did_you_mean(name, known)))
    pages = [_backend(n) if of_backends else _op(n) for n in ([name] if name else known)]
    if as_json:
        print(json.dumps(pages, ensure_ascii=False))
        return
    for page in pages:
        _print(page, full=bool(name))


_CAPABILITIES = ("text", "reward", "embeddings", "continuation", "n", "logprobs", "schema", "seed")


def _op(name: str) -> dict[str, Any]:
    kind = ops.op_class(name)
    return {"name": name, "about": _about(kind), "parameters": _parameters(kind)}


def _backend(name: str) -> dict[str, Any]:
    kind = backends.backend_class(name)
    able = kind.capabilities
    return {
        "name": name,
        "about": _about(kind),
        "capabilities": {k: getattr(able, k) for k in _CAPABILITIES},
        "parameters": _parameters(SharedOptions) + _parameters(kind.Options),
    }


def _about(kind: type[Any]) -> str:
    lines = (kind.__doc__ or "").strip().splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


def _parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    schema = kind.model_json_schema()
    return [
        {
            "name": key,
            "type": _type(schema["properties"][key], schema.get("$defs", {})),
            "required": field.is_required(),
            "default": None if field.is_required() else schema["properties"][key].get("default"),
            "about": field.description or "",
        }
        for key, field in ((field.alias or name, field) for name, field in kind.model_fields.items())
    ]


def _type(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    if "x-archc" in schema:
        return str(schema["x-archc"])
    if "$ref" in schema:
        return _type(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(v) for v in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(s, defs) for s in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), defs)}"
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if key in schema
    ]
    return " ".join([schema.get("type", "any"), *bounds])


def _print(page: dict[str, Any], full: bool) -> None:
    about = page["about"]
    print(f"{page['name']}: {about if full else about.splitlines()[0]}")
    for parameter in page["parameters"]:
        default = "required" if parameter["required"] else f"= {json.dumps(parameter['default'])}"
        print(f"    {parameter['name']:<16} {parameter['type']:<28} {default:<12} {parameter['about']}")
    print()
