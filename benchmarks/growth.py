"""How compiling grows with the size of a spec: CPU seconds of each stage, and the memory it needs at most.

python -m benchmarks.growth [NODES …]

`x2` is how many times as much it is as for half the nodes: 2 is linear, 4 is quadratic. Memory is measured in a run of
its own, since that makes everything slower.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

from archc import api
from archc.source import Source

SIZES = (1250, 2500, 5000, 10_000)
DEPTH = 4
Row = dict[str, float]


def chain(nodes: int, end: str) -> str:
    """Steps one after the other."""
    if end == "yaml":
        return _yaml("  - generate: {model: m}\n" + "  - fuse: {model: m, temperature: 0.5}\n" * (nodes - 1))
    return _arch("generate(m)" + "\n  -> fuse(m, temperature=0.5)" * (nodes - 1))


def layer(nodes: int, end: str) -> str:
    """Steps side by side, and one that reads them all."""
    if end == "yaml":
        return _yaml("  -\n" + "    - generate: {model: m, n: 2}\n" * (nodes - 1) + "  - select: longest\n")
    return _arch("(\n" + " &\n".join(["  generate(m, n=2)"] * (nodes - 1)) + "\n)\n  -> select(longest)")


def blocks(nodes: int, end: str) -> str:
    """Loops in loops, four deep, with two steps in each innermost one. A block counts as a step does."""
    count = max(1, nodes // (2 * DEPTH + 2))
    if end == "yaml":
        inner = "[critique: {model: m}, refine: {model: m}]"
        for _ in range(DEPTH):
            inner = f"[repeat: {{times: 2, do: {inner}}}]"
        return _yaml("  - generate: {model: m}\n" + f"  - {inner[1:-1]}\n" * count)
    inner = "repeat(times=2) { " * DEPTH + "critique(m) -> refine(m)" + " }" * DEPTH
    return _arch("generate(m)" + f"\n  -> {inner}" * count)


def _yaml(pipeline: str) -> str:
    return f"models: {{m: {{backend: simulated}}}}\npipeline:\n{pipeline}"


def _arch(pipeline: str) -> str:
    return f"model m = simulated\n\n{pipeline}\n"


SHAPES: dict[str, Callable[[int, str], str]] = {"chain": chain, "layer": layer, "blocks": blocks}


def measured(text: str, end: str) -> Row:
    """CPU seconds by stage."""
    gc.collect()
    times = [time.process_time()]
    spec = api.parse(Source(f"spec.{end}", text))
    times.append(time.process_time())
    graph = api.lower(spec, {})
    times.append(time.process_time())
    better = api.optimise(graph)
    times.append(time.process_time())
    api.explain(api.plan(better))
    times.append(time.process_time())
    names = ("parse", "lower", "optimise", "plan")
    return {name: after - before for name, (before, after) in zip(names, pairwise(times), strict=True)}


def peak(text: str, end: str) -> float:
    """MiB that are needed at once, from the text to the plan."""
    gc.collect()
    tracemalloc.start()
    api.plan(api.optimise(api.lower(api.parse(Source(f"spec.{end}", text)), {})))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / (1 << 20)


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or SIZES
    gc.set_threshold(100_000)  # as the command line does
    for end in ("arch", "yaml"):
        measured(chain(10, end), end)  # imports, and the tables of the grammar
    heads = ("parse", "lower", "optimise", "plan", "MiB")
    print(f"{'spec':<12} {'nodes':>6}" + "".join(f"{name:>10}   x2" for name in heads))
    for name, make in SHAPES.items():
        for end in ("yaml", "arch"):
            before: Row = {}
            for nodes in sizes:
                text = make(nodes, end)
                row = min((measured(text, end) for _ in range(2)), key=lambda row: sum(row.values()))
                row["MiB"] = peak(text, end)
                growth = {key: f"{value / before[key]:4.1f}" if before else "" for key, value in row.items()}
                cells = [f"{value:10.2f} {growth[key]:4}" for key, value in row.items()]
                print(f"{name + ' ' + end:<12} {nodes:>6}" + "".join(cells), flush=True)
                before = row


if __name__ == "__main__":
    main()
