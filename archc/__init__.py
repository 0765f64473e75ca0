"""archc: a compiler for inference-time architectures.

The walk: `read → parse → lower → optimise → plan → run`; `compile` is the first five in a row.

The floors, from top to bottom. A file imports only from floors below its own, or from its own folder; names on one line
are siblings that do not see each other:

    cli
    api
    runtime
    planning
    passes
    lowering schema
    ops
    ir
    spec
    backends
    prompts keys
    address
    errors
    diagnostics values
    source calls
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.api import (
        Plan,
        compile,
        default_journal,
        explain,
        lower,
        optimise,
        parse,
        plan,
        read,
        run,
        run_sync,
        session,
    )
    from archc.diagnostics import Diagnostic, RunError, SpecError
    from archc.ir.graph import Graph
    from archc.ir.op import Op
    from archc.runtime.run import Run
    from archc.source import Source
    from archc.spec.model import Spec

__version__ = "0.1.0"

_HOME = {
    "archc.api": (
        "Plan",
        "compile",
        "default_journal",
        "explain",
        "lower",
        "optimise",
        "parse",
        "plan",
        "read",
        "run",
        "run_sync",
        "session",
    ),
    "archc.diagnostics": ("Diagnostic", "RunError", "SpecError"),
    "archc.ir.graph": ("Graph",),
    "archc.ir.op": ("Op",),
    "archc.runtime.run": ("Run",),
    "archc.source": ("Source",),
    "archc.spec.model": ("Spec",),
}

__all__ = [
    "Diagnostic",
    "Graph",
    "Op",
    "Plan",
    "Run",
    "RunError",
    "Source",
    "Spec",
    "SpecError",
    "compile",
    "default_journal",
    "explain",
    "lower",
    "optimise",
    "parse",
    "plan",
    "read",
    "run",
    "run_sync",
    "session",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use: `archc --help` must not pay for what it does not need."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'archc' has no attribute {name!r}")
