"""The ops: one file each, found by being here or by the entry point `archc.ops` of an installed package."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from archc.ir.condition import Condition
from archc.ir.control import Control, parameters_with
from archc.ir.op import Op
from archc.ir.region import Region
from archc.spec.vocabulary import Vocabulary


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


class _Vocabulary:
    """What the surface forms must know of ops; implements `archc.spec.vocabulary.Vocabulary`."""

    def main(self, op: str) -> str:
        """See there."""
        return op_class(op).main if op in names() else Op.main

    def regions(self, op: str) -> tuple[str, ...]:
        """See there."""
        return self._with(op, Region, many=False)

    def region_lists(self, op: str) -> tuple[str, ...]:
        """See there."""
        return self._with(op, Region, many=True)

    def conditions(self, op: str) -> tuple[str, ...]:
        """See there."""
        return self._with(op, Condition, many=False)

    def _with(self, op: str, what: Hashable, many: bool) -> tuple[str, ...]:
        kind = op_class(op) if op in names() else Op
        unrolled = issubclass(kind, Control) and kind.unrolled is not None
        held = parameters_with(kind, what)
        return tuple(name for name, several in held.items() if (several and not unrolled) is many)


VOCABULARY: Vocabulary = _Vocabulary()
