"""archc: a compiler for inference-time architectures.

The walk: `read → parse → lower → optimise → plan → run`; `compile` is the first five in a row.

The floors, from top to bottom. A file imports only from floors below its own, or from its own folder; names on one line
are siblings that do not see each other:

    cli
    report
    searching
    bench editor exporters fleet
    api
    runtime
    planning
    passes
    lowering schema
    ops
    ir
    spec
    backends sandbox
    prompts keys
    address catalogue
    errors
    diagnostics values
    source calls secret vectors
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
    from archc.searching.verb import Found, search, search_sync
    from archc.source import Source
    from archc.spec.model import Spec

__version__ = "0.1.0"

__all__ = [
    "Diagnostic",
    "Found",
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
    "search",
    "search_sync",
    "session",
]


_HOMES = ("archc.api", "archc.diagnostics", "archc.ir.op", "archc.searching.verb")


def __getattr__(name: str) -> Any:
    """Imports a public name on first use: `archc --help` must not pay for what it does not need."""
    if name in __all__:
        for home in map(import_module, _HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module 'archc' has no attribute {name!r}")
