"""Show: a plan as text."""

from __future__ import annotations

from archc.diagnostics import printable
from archc.ir.show import show
from archc.planning.cost import Cost
from archc.planning.plan import Plan, Saving
from archc.values import Interval

_HEAD = ("node", "model", "candidates", "calls", "depth", "prompt tokens", "completion tokens", "USD")


def show_plan(plan: Plan) -> str:
    """The graph, what the passes changed, and the bounds of every node and of the whole."""
    written = plan.steps[0].before if plan.steps else plan.graph
    parts = [f"graph of {plan.graph.name}", _indent(show(written))]
    for saving in plan.savings:
        without = f" (without {', '.join(saving.removed)})" if saving.removed else ""
        parts += [f"after {saving.name}{without}: {_saved(saving)}", _indent(show(saving.graph))]
    parts += [f"plan, for questions of at most {plan.question_tokens:,} tokens", _indent(_table(plan))]
    if dearest := _dearest(plan):
        parts.append(dearest)
    several = plan.graph.output_shape().size
    if several.hi > 1:
        parts.append(f"the pipeline ends with {several} candidates; the answer is the first")
    return "\n".join(printable(line) for part in parts for line in part.split("\n"))


def _dearest(plan: Plan) -> str:
    """The step on which most may be spent: in USD where all prices are known, else in tokens."""
    costs = {
        node.id: node.cost.usd[1] if plan.cost.usd and node.cost.usd else float(node.cost.tokens.hi)
        for node in plan.nodes
        if not node.level
    }
    name, whole = max(costs, key=lambda name: costs[name], default=""), sum(costs.values())
    return (
        f"the dearest step is {name}: at most {costs[name] / whole:.0%} of the cost" if whole and len(costs) > 1 else ""
    )


def _saved(saving: Saving) -> str:
    """Of each bound that a pass changed what it was and is."""
    old, new = saving.before, saving.after
    bounds = (
        ("calls", old.cost.calls, new.cost.calls),
        ("tokens", old.cost.tokens, new.cost.tokens),
        ("depth", old.depth, new.depth),
    )
    changed = [f"{name} {_thousands(a)} -> {_thousands(b)}" for name, a, b in bounds if a != b]
    return ", ".join(changed) or "no bound changes"


def _table(plan: Plan) -> str:
    rows: list[tuple[str, ...]] = [_HEAD]
    for node in plan.nodes:
        rows.append(
            ("  " * node.level + node.id, node.model or "-", str(node.shape.size), *_cost(node.cost, node.depth))
        )
    rows.append(("total", "", "", *_cost(plan.cost, plan.depth)))
    wide = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, wide, strict=True)))
        for row in rows
    )


def _cost(cost: Cost, depth: Interval) -> tuple[str, ...]:
    usd = "-" if cost.usd is None else f"{cost.usd[0]:.4f}..{cost.usd[1]:.4f}" if cost.usd[1] else "0"
    return (str(cost.calls), str(depth), _thousands(cost.prompt_tokens), _thousands(cost.completion_tokens), usd)


def _thousands(interval: Interval) -> str:
    return f"{interval.lo:,}" if interval.lo == interval.hi else f"{interval.lo:,}..{interval.hi:,}"


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
