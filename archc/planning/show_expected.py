"""Show: what is expected of a plan as text, and how good such an expectation was."""

from __future__ import annotations

from collections.abc import Sequence

from archc.diagnostics import printable
from archc.planning.expected import Expectation, expected
from archc.planning.learned import Experience, together
from archc.planning.plan import Plan

_HEAD = ("node", "calls", "expected", "prompt tokens", "completion tokens", "USD", "eFLOPs", "share")


def show_expected(plan: Plan, seen: Sequence[Experience]) -> str:
    """The expected cost of every node, the dearest one, and what every second question says of the others."""
    means = expected(plan, together(seen))
    lines = [f"expected of a question, by {len(seen)} so far"]
    lines += ["  " + line for line in _table(plan, means)]
    lines.append(f"  about {means.seconds:.2f} s while no call waits for a place")
    if means.dearest:
        lines.append(f"the dearest step is {means.dearest}: {means.share(means.dearest):.0%} of the cost")
    if means.unknown:
        lines.append(f"nothing is known of {', '.join(means.unknown)}, which may ask as well")
    if len(seen) > 1:
        lines += _checked(plan, together(seen[::2]), together(seen[1::2]))
    return "\n".join(map(printable, lines))


def _table(plan: Plan, means: Expectation) -> list[str]:
    rows = [_HEAD]
    for node in plan.nodes:
        if node.id in means.nodes:
            mean = means.nodes[node.id]
            flops = "-" if mean.eflops is None else f"{mean.eflops:.2e}"
            tokens = (f"{mean.prompt:,.0f}", f"{mean.completion:,.0f}")
            share = f"{means.share(node.id):.0%}"
            rows.append((node.id, str(node.cost.calls), f"{mean.calls:.1f}", *tokens, f"{mean.usd:.4f}", flops, share))
    total = means.total
    flops = "-" if total.eflops is None else f"{total.eflops:.2e}"
    tokens = (f"{total.prompt:,.0f}", f"{total.completion:,.0f}")
    rows.append(("total", str(plan.cost.calls), f"{total.calls:.1f}", *tokens, f"{total.usd:.4f}", flops, ""))
    wide = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, wide, strict=True)))
        for row in rows
    ]


def _checked(plan: Plan, known: Experience, others: Experience) -> list[str]:
    """What some questions let expect of the others, beside what these were."""
    said = expected(plan, known)
    drawn = [seen for name, seen in others.nodes.items() if name in plan.graph.by_id]
    count = others.questions
    pairs = (
        ("calls", said.total.calls, sum(seen.calls for seen in drawn) / count),
        ("prompt tokens", said.total.prompt, sum(seen.prompt for seen in drawn) / count),
        ("completion tokens", said.total.completion, sum(seen.completion for seen in drawn) / count),
        ("seconds", said.seconds, others.seconds / count),
    )
    lines = [f"what {known.questions} of them let expect of the other {count}, and what these came to"]
    for name, guess, was in pairs:
        off = f"{(guess - was) / was:+.0%}" if was else "-"
        lines.append(f"  {name:<18}{guess:>12,.2f}{was:>12,.2f}{off:>8}")
    return lines
