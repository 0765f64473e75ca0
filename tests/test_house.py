"""The laws of the house: floors, sizes, names, documentation, and who may touch the world."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import statistics
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import archc
from archc import api, ops
from archc.source import Source

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "archc"
FILES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in HOUSE.rglob("*.py")}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
DOOR = {"archc", "archc.__main__"}

HEAVY = {"apsw", "networkx", "aiohappyeyeballs", "xllamacpp", "uvloop", "lark", "pygls", "lsprotocol", "keyring"} | {
    "opentelemetry",
    "math_verify",
    "optuna",
    "datasets",
    "reasoning_gym",
    "vllm",
}
"""Third-party packages that may be imported within a function."""

WORLD: dict[str, set[str]] = {
    "os": {"api", "spec.moved", "cli._ending", "cli.doctor", "cli.keys", "runtime.batch", "backends.weights"}
    | {"backends.probe", "backends.vllm", "cli.probe", "cli.profile", "cli.up", "fleet.watch"}
    | {"sandbox.pool", "sandbox.walls", "sandbox.zygote", "sandbox.child"},
    "time": {"api", "backends._server", "backends.openai", "cli.profile", "cli.up", "sandbox.zygote"},
    "random": {
        "api",
        "runtime.lane",
        "runtime.replay",
        "runtime.schedule",
        "runtime.engine",
        "backends.simulated",
        "backends._world",
        "backends._world_code",
        "bench.metrics.intervals",
        "bench.metrics.pool",
        "cli.space",
        "bench.data",
        "searching.forecast",
        "searching.order",
        "searching.racing",
        "searching.verb",
        "searching.domain",
        "searching.samplers",
        "searching.samplers.grid",
        "searching.samplers.greedy",
        "searching.samplers.gp",
        "searching.samplers.llm",
        "searching.samplers._modelled",
    },
    "secrets": {"backends.llamacpp", "searching.folder"},
    "signal": {"cli._working", "cli.up", "fleet.watch", "sandbox.zygote"},
    "ctypes": {"sandbox.zygote"},
    "resource": {"sandbox.zygote"},
    "fcntl": {"runtime.locks", "sandbox.zygote"},
    "tempfile": {"cli._files", "keys", "backends.weights"},
    "shutil": {"backends.weights", "sandbox.walls"},
    "platformdirs": {"api", "keys", "backends.weights", "backends.probe"},
    "threading": {"runtime.journal", "backends._llamacpp_draft", "sandbox.child"},
    "apsw": {"runtime.journal", "runtime.store"},
    "ssl": {"backends._http", "backends._wire"},
    "aiohappyeyeballs": {"backends._http"},
    "keyring": {"keys"},
    "xllamacpp": {"backends.llamacpp"},
    "vllm": {"backends.vllm"},
    "opentelemetry": {"exporters.otel"},
    "math_verify": {"bench.graders"},
    "numpy": {"searching.gaussian", "searching.samplers._modelled"},
    "optuna": {"searching.mirror", "searching.samplers._optuna", "searching.samplers.nsga2", "searching.samplers.tpe"},
    "datasets": {"bench.hub"},
    "reasoning_gym": {"bench.gym"},
}
"""Who touches the world: the only files that may import these. Elsewhere it is handed in."""

NEVER = "urllib.request http subprocess socket datetime multiprocessing uuid webbrowser pickle"
"""What no file imports."""

CALLS = {
    "asyncio.sleep": {"api", "backends.simulated", "cli.up"},
    "asyncio.run": {"api", "cli.doctor", "cli.run"},
    "open": {
        "api",
        "runtime.batch",
        "runtime.locks",
        "runtime.trace",
        "exporters.recorded",
        "backends.weights",
        "backends.llamacpp",
        "sandbox.child",
        "sandbox.zygote",
        "cli._ending",
        "cli.cache",
        "fleet.watch",
    },
    "print": {name.removeprefix("archc.") for name in FILES if name.startswith("archc.cli")},
}
"""The same for calls and mentions of functions."""


# ---- floors


def floors() -> dict[str, int]:
    """The floor of each unit, from the docstring of the door, counted from the top."""
    block = (archc.__doc__ or "").split("do not see each other:", 1)[1]
    lines = [line.split() for line in block.splitlines() if line.strip()]
    return {unit: height for height, line in enumerate(lines) for unit in line}


def unit(module: str) -> str:
    return module.split(".")[1]


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that is imported, at any depth and for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((name if name in FILES or name in WORLD else node.module, node) for name in whole)


def own(module: str) -> set[str]:
    """The modules of archc that a module imports."""
    return {name for name, _ in imports(TREES[module]) if name.split(".")[0] == "archc"} - {module}


def test_every_file_has_a_floor() -> None:
    assert {unit(name) for name in FILES if name not in DOOR} == floors().keys()


@pytest.mark.parametrize("module", sorted(FILES.keys() - DOOR))
def test_files_import_only_from_lower_floors(module: str) -> None:
    height = floors()
    seen = {name for name in own(module) if name not in DOOR and unit(name) != unit(module)}

    assert {name for name in seen if height[unit(name)] <= height[unit(module)]} == set()


DOORKEEPERS = {"archc.cli", "archc.cli._ending", "archc.cli.lsp", "archc.cli.bench", "archc.cli.search"}


def test_the_door_is_opened_by_the_command_line_only() -> None:
    assert {name for name in FILES if "archc" in own(name)} <= DOORKEEPERS


def test_imports_have_no_cycles() -> None:
    graph = {name: own(name) - DOOR for name in FILES if name not in DOOR}
    while leaves := {name for name, seen in graph.items() if not seen & graph.keys()}:
        graph = {name: seen for name, seen in graph.items() if name not in leaves}

    assert graph == {}


def test_functions_import_heavy_packages_only() -> None:
    inside = {
        f"{module}: {name}"
        for module, tree in TREES.items()
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for name, _ in imports(function)
        if name.split(".")[0] not in HEAVY
    }

    assert inside == set()


def test_no_pass_knows_an_op() -> None:
    assert {
        name for name in FILES if unit(f"{name}.") == "passes" and any("archc.ops" in n for n in own(name))
    } == set()


# ---- the world


@pytest.mark.parametrize("package", WORLD)
def test_the_world_is_touched_in_named_files_only(package: str) -> None:
    typing_only = {id(n) for t in TREES.values() for n in ast.walk(t) if _for_type_checkers(n) for n in ast.walk(n)}
    users = {
        module.removeprefix("archc.")
        for module, tree in TREES.items()
        for name, node in imports(tree)
        if id(node) not in typing_only and f"{name}.".startswith(f"{package}.")
    }

    assert users == WORLD[package]


@pytest.mark.parametrize("package", NEVER.split())
def test_nobody_imports(package: str) -> None:
    assert [m for m, tree in TREES.items() for name, _ in imports(tree) if f"{name}.".startswith(f"{package}.")] == []


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("function", CALLS)
def test_the_world_is_called_in_named_files_only(function: str) -> None:
    users = {
        module.removeprefix("archc.")
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.Attribute, ast.Name)) and _means(ast.unparse(node), function)
    }

    assert users <= CALLS[function]


def _means(text: str, function: str) -> bool:
    return text == function or (function == "open" and text.endswith(".open"))


# ---- size, names, words


def test_files_are_small() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()}
    written = {name: count for name, count in lines.items() if count > 5}

    assert {name: count for name, count in written.items() if count > 400} == {}
    assert statistics.median(written.values()) <= 150


def test_no_file_is_a_drawer() -> None:
    banned = {"utils", "util", "helpers", "common", "misc", "manager", "core", "base"}

    assert {name for name in FILES if banned & set(name.strip("_").split(".")[-1].split("_"))} == set()


def test_nothing_waits_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    found = {name for name, path in FILES.items() if later.search(path.read_text(encoding="utf-8"))}

    assert found == set()


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes of a module."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node


def test_public_names_are_documented() -> None:
    bare = {
        f"{module}.{node.name}"
        for module, tree in TREES.items()
        for node in public(tree)
        if not ast.get_docstring(node)
    }

    assert bare == set()


def test_files_say_what_they_are() -> None:
    assert {name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)} == set()


# ---- the public surface


def test_the_door_says_what_it_gives() -> None:
    checked = next(node for node in TREES["archc"].body if _for_type_checkers(node))
    names = {a.name for node in ast.walk(checked) if isinstance(node, ast.ImportFrom) for a in node.names}

    assert set(archc.__all__) == names
    assert list(archc.__all__) == sorted(archc.__all__)
    assert {name for name in archc.__all__ if getattr(archc, name) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        archc.nonsense  # noqa: B018


VALUES = [
    "sandbox.walls",
    "values",
    "calls",
    "source",
    "diagnostics",
    "errors",
    "spec.located",
    "spec.model",
    "spec.space.hole",
]
VALUES += ["editor.look", "editor.help", "editor.places"]
VALUES += ["bench.metrics.intervals", "bench.metrics.coverage", "bench.metrics.confidence"]
VALUES += ["ir.graph", "ir.shape", "ir.op", "planning.plan", "passes"]


@pytest.mark.parametrize("module", VALUES)
def test_values_are_frozen(module: str) -> None:
    kinds = [k for k in vars(importlib.import_module(f"archc.{module}")).values() if inspect.isclass(k)]
    made = [k for k in kinds if dataclasses.is_dataclass(k)]
    models = [k for k in kinds if hasattr(k, "model_config") and k.__module__.startswith("archc")]

    assert made or models
    assert [k for k in made if not vars(k)["__dataclass_params__"].frozen] == []
    assert [k for k in models if not k.model_config.get("frozen") or k.model_config.get("extra") != "forbid"] == []


# ---- ops

MODELS = "models:\n  small: {backend: simulated, model: s}\n  big: {backend: simulated, model: b}\npipeline:\n"


@pytest.mark.parametrize("name", ops.names())
def test_ops_show_an_example_that_uses_them(name: str) -> None:
    text = inspect.getdoc(ops.op_class(name)) or ""
    example = textwrap.dedent(text.partition("Example:\n")[2])
    plan = api.compile(Source(name, MODELS + textwrap.indent(example, "  ")), environ={})

    assert ops.op_class(name).name == name
    assert name in {node.op.name for node in plan.graph.every}
    assert [w for w in plan.warnings if w.name != "unused-model"] == []


@pytest.mark.parametrize("name", ops.names())
def test_ops_document_every_parameter(name: str) -> None:
    fields = ops.op_class(name).model_fields

    assert [key for key, field in fields.items() if not field.description] == []
