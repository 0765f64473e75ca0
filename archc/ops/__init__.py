"""The ops: one file each, found by being here or by the entry point `archc.ops` of an installed package."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from archc.ir.op import Op


@cache
def names() -> tuple[str, ...]:
    """The names of all ops, sorted; imports none of them."""
    return tuple(sorted({*_own(), *_installed()}))


@cache
def op_class(name: str) -> type[Op]:
    """The op of that name. Raises KeyError if there is none."""
    if name in _own():
        module = import_module(f"{__name__}.{name}")
        own = (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)
        return next(v for v in own if issubclass(v, Op))
    loaded = entry_points(group="archc.ops")[_installed()[name]].load()
    assert isinstance(loaded, type)
    assert issubclass(loaded, Op)
    return loaded


@cache
def _own() -> frozenset[str]:
    return frozenset(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))


@cache
def _installed() -> dict[str, str]:
    points = {point.name: point.name for point in entry_points(group="archc.ops")}
    clash = _own() & points.keys()
    if clash:
        raise ImportError(f"an installed package offers an op named `{min(clash)}`, which archc already has")
    return points
