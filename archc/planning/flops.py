"""FLOPs: what writing tokens takes of a machine, as Kinetics counts (Sadhukhan, Chen et al. 2025, arXiv 2506.05333).

At long answers most of the time goes into reading keys and values, so that reading a byte counts as the operations
that the machine could have done meanwhile. Only writing counts: going through the prompt and reading weights do not.
"""

from __future__ import annotations

from archc.spec.model import ModelShape

INTENSITY = 562.5
"""Operations for each byte read: about 4.5 PFLOP/s over 8 TB/s."""


def flops(shape: ModelShape, prompt: float, completion: float, n: int = 1) -> float:
    """Operations for `n` completions of so many tokens after the same prompt."""
    attention = 2 * (2 * prompt + completion) * completion * shape.heads * shape.head_dim * shape.layers
    return n * (2 * shape.params * completion + attention)


def eflops(shape: ModelShape, prompt: float, completion: float, n: int = 1) -> float:
    """The same, with what reading keys and values is worth; those of the prompt are read once for all `n`."""
    read = 2 * (2 * prompt + n * completion) * completion * shape.kv_heads * shape.head_dim * shape.layers
    return flops(shape, prompt, completion, n) + INTENSITY * read
