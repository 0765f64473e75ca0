"""The backends: one file each, found by being here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from archc.calls import Backend

_OTHER = frozenset({"weights", "probe"})


@cache
def names() -> tuple[str, ...]:
    """The names of all backends, sorted; imports none of them."""
    return tuple(
        sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem[0] != "_" and p.stem not in _OTHER)
    )


@cache
def backend_class(name: str) -> type[Backend]:
    """The backend of that name. Raises KeyError if there is none."""
    if name not in names():
        raise KeyError(name)
    module = import_module(f"{__name__}.{name}")
    return next(
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Backend) and v.__module__ == module.__name__
    )
