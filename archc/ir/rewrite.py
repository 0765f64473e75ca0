"""Rewrite: the same op with other blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archc.ir.op import Op
from archc.ir.region import Region


def with_blocks(op: Op, change: Callable[[Region], Region]) -> Op:
    """The op with each of its blocks changed; itself if none is."""
    changes: dict[str, Any] = {}
    for name in dict.fromkeys(block.partition(".")[0] for block in op.blocks):
        held = getattr(op, name)
        new = tuple(change(block) for block in held) if isinstance(held, tuple) else change(held)
        if new != held:
            changes[name] = new
    given = {name: getattr(op, name) for name in type(op).model_fields}
    return type(op).model_validate({**given, **changes}, by_name=True) if changes else op
