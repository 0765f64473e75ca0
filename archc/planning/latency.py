"""Latency: how long a plan will take, by what was measured of its models.

It is what one question takes on servers that do nothing else, if every answer is as long as it may be. Steps of
different branches that ask one server at once are taken to be alone there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archc.ir.control import Control
from archc.ir.op import Calls
from archc.ir.region import Node
from archc.ir.shape import Shape
from archc.planning.bounds import Bounds, drawn, lowered
from archc.planning.plan import Plan
from archc.planning.profile import Pace, Profile
from archc.values import Interval

_UNITS = 1_000_000
"""Microseconds: times are reckoned with as whole numbers, as depths are."""


@dataclass(frozen=True)
class Prediction:
    """What is to be expected of a plan."""

    seconds: tuple[float, float]
    """At least and at most, by the ways that control forms may take."""
    usd: float | None
    """What it costs at most on servers by the hour that are kept busy; None where no price is known."""
    profiles: Mapping[str, Profile]

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        saturating = {name: profile.knee.concurrency for name, profile in self.profiles.items()}
        return {"seconds": list(self.seconds), "usd_by_the_hour": self.usd, "saturating_concurrency": saturating}


def predict(plan: Plan, profiles: Mapping[str, Profile]) -> Prediction | None:
    """What a plan will take; None where some model that it asks was not measured."""
    graph = plan.graph
    if not graph.asked or not graph.asked <= profiles.keys():
        return None

    def took(node: Node, counts: Sequence[tuple[int, Calls]], depth: int) -> float:
        """Seconds for so many calls of each kind, of which `depth` wait for each other."""
        width = -(-sum(count for count, _ in counts) // max(1, depth))
        if not width:
            return 0.0
        model = graph.model(counts[0][1].model)
        at_once = min(width, model.shared.concurrency)
        speed = profiles[model.name].at(at_once)
        if node.op.samples and model.capabilities.n:  # all of one prompt, which is read once
            speed = replace(speed, prompt_token=profiles[model.name].at(1).prompt_token)
        return _mean(counts, speed) * -(-width // at_once) * depth

    def pace(node: Node, before: Shape) -> Interval:
        depth = lowered(node.op, before, node.op.depth(before))
        calls = [drawn(node, before, each) for each in node.op.calls(before)]
        low = took(node, [(c.count.lo, c) for c in calls], depth.lo)
        high = took(node, [(c.count.hi, c) for c in calls], depth.hi)
        return Interval(round(min(low, high) * _UNITS), round(high * _UNITS))

    whole = Bounds(graph, pace).of(graph.body, Shape(question=plan.question_tokens))
    usd: float | None = 0.0
    for node in graph.every:
        if isinstance(node.op, Control) or node.id not in whole.nodes:
            continue
        cost = whole.nodes[node.id].cost
        for model in dict.fromkeys(node.op.models.values()):
            spent = profiles[model].usd(cost.prompt_tokens.hi, cost.completion_tokens.hi)
            usd = None if usd is None or spent is None else usd + spent
    asked = {name: profiles[name] for name in sorted(graph.asked)}
    return Prediction((whole.depth.lo / _UNITS, whole.depth.hi / _UNITS), usd, asked)


def _mean(calls: Sequence[tuple[int, Calls]], speed: Pace) -> float:
    """Seconds of one call, where there are so many of each kind."""
    each = [(count, speed.seconds(min(c.likely, c.prompt.hi), c.completion)) for count, c in calls]
    return sum(count * seconds for count, seconds in each) / sum(count for count, _ in each)


def show_prediction(plan: Plan, prediction: Prediction) -> str:
    """For people."""
    low, high = prediction.seconds
    span = f"{high:.2g}" if round(low, 2) == round(high, 2) else f"{low:.2g}..{high:.2g}"
    lines = [f"by what was measured: {span} s a question, if every answer is as long as it may be"]
    if prediction.usd is not None:
        lines[0] += f"; {prediction.usd:.4f} USD at most, by the hour of a busy server"
    for name, profile in prediction.profiles.items():
        knee, most = profile.knee, plan.graph.model(name).shared.concurrency
        rate = knee.concurrency / knee.token
        line = f"  {name}: {knee.concurrency} requests at once keep it busy ({rate:,.0f} tokens/s)"
        lines.append(line + (f"; of the {most} it may get, the others wait there" if most > knee.concurrency else ""))
    return "\n".join(lines)
