"""Parts that reports of runs have in common: the graph with its costs, the timeline, and what was run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archc.calls import NOTHING, Spend
from archc.exporters.recorded import Recording, sent_at
from archc.ir.graph import Graph
from archc.report.charts import Span, timeline
from archc.report.graph import Weight, graph_picture
from archc.report.html import Markup, joined, number, table, tag
from archc.report.page import Section
from archc.runtime.trace import Event
from archc.secret import masked

MOST_SPANS = 2_000
MOST_LANES = 60
"""Of a timeline."""


def steps_section(graph: Graph | None, spent: Mapping[str, Spend], questions: int) -> Section:
    """What each step costs a question, as a picture of the graph where that is known, and as a table."""
    inner = graph.owners if graph else {}
    whole = sum((one for name, one in spent.items() if name not in inner), NOTHING)
    many = max(1, questions)

    def share(one: Spend) -> float:
        return one.tokens / whole.tokens if whole.tokens else 0.0

    def weight(one: Spend) -> Weight:
        if not one.calls:
            return Weight("no calls")
        figures = f"{number(one.calls / many)} calls, {number(one.tokens / many)} tok, {100 * share(one):.0f} %"
        return Weight(figures, share(one))

    names = [node.id for node in graph.every] if graph else list(spent)
    weights = {name: weight(spent.get(name, NOTHING)) for name in names} if spent else {}
    shown = graph_picture(graph, weights, "The steps, with calls, tokens and share of all tokens") if graph else ""
    rows = [_row(name, spent[name], many, share(spent[name])) for name in names if name in spent and spent[name].calls]
    heads = ["step", "calls", "prompt tokens", "completion tokens", "USD", "share of tokens"]
    costs = table("What each step costs for one question, on average", heads, rows) if rows else Markup("")
    return Section("Steps", joined(shown, costs))


def _row(name: str, one: Spend, many: int, share: float) -> list[str]:
    figures = (one.calls / many, one.prompt / many, one.completion / many, one.usd / many)
    return [name, *map(number, figures), f"{100 * share:.1f} %"]


def timeline_section(sessions: Sequence[Recording], ids: Iterable[str] | None = None) -> Section:
    """The calls of each question over time, coloured by model. `ids` are the questions to show, all without it."""
    wanted = None if ids is None else set(ids)
    pictures: list[Markup] = []
    for place, session in enumerate(sessions, 1):
        calls = [e for e in session.events if e["event"] == "call" and (wanted is None or e["query"] in wanted)]
        if not calls:
            continue
        models = list(dict.fromkeys(call["model"] for call in calls))
        lanes: dict[str, list[Span]] = {}
        left_out = 0
        for count, call in enumerate(calls):
            if count >= MOST_SPANS or (call["query"] not in lanes and len(lanes) == MOST_LANES):
                left_out += 1
            else:
                lanes.setdefault(call["query"], []).append(_span(call, models.index(call["model"])))
        shown = timeline("Calls by question, over time", list(lanes.items()), models)
        if left_out:
            shown = joined(shown, tag("p", f"{left_out:,} calls are left out of the picture.", class_="note"))
        if len(sessions) > 1:
            about = f"Session {place}: {session.events[0].get('spec') or 'no name'}, {len(calls):,} requests"
            shown = tag("details", tag("summary", about), shown, open=None if pictures else "")
        pictures.append(shown)
    return Section("Timeline", joined(*pictures))


def _span(call: Event, series: int) -> Span:
    tokens = f"{call['prompt_tokens']} + {call['completion_tokens']} tokens"
    start, end, ok = sent_at(call), float(call["at"]), call["outcome"] == "ok"
    ending = "" if ok else f", {call['outcome']}"
    about = f"{call['node']}: {len(call['samples'])} × {call['model']}, {end - start:.2f} s, {tokens}{ending}"
    return Span(start, end, series, about, not ok)


def spec_section(text: str, facts: Sequence[tuple[str, str]]) -> Section:
    """What was run, as it was written; passwords within addresses are masked."""
    rows = [[name, masked(value)] for name, value in facts if value]
    shown = table("What it takes to do it again", ["what", "value"], rows, numbers_from=9) if rows else Markup("")
    spec = tag("details", tag("summary", "The spec"), tag("pre", masked(text))) if text else ""
    return Section("How it was made", joined(shown, spec))
