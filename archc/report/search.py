"""Search: the report of an architecture search: what it found, whether that holds, what it cost, what mattered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archc.bench.metrics.intervals import wilson
from archc.report.axes import Axis
from archc.report.charts import Bar, Point, Series, bars, heat, lines, scatter
from archc.report.html import Markup, items, joined, number, table, tag
from archc.report.page import Section, page, paragraph
from archc.report.parts import spec_section
from archc.searching.effects import effects, levels, together
from archc.searching.folder import BEST, SUMMARY, leaderboard_of, manifest_of
from archc.spec.space.hole import value_text

LISTED = 60
"""Trials in the table, at most."""
SHOWN = 12
"""Choices whose weight is shown, at most."""

Row = Mapping[str, Any]


def search_report(folder: Path) -> str:
    """The page on a folder of `archc search`, which may not have ended. Raises SpecError if it is no such folder."""
    manifest, board = manifest_of(folder), leaderboard_of(folder)
    summary = _summary(folder)
    rows: list[Row] = [row for row in board["trials"] if row["estimate"]]
    goals = board["goals"]
    ways = [f"{'largest' if goal['sign'] > 0 else 'smallest'} {goal['text']}" for goal in goals]
    sections = [
        Section("Confirmation", _confirmation(summary, goals[0]["text"])),
        Section("What it costs", _spending(rows, goals, summary)),
        Section("How it went", _history(rows, goals[0])),
        Section("What mattered", _effects(rows, goals[0]["text"])),
        Section("Trials", _leaderboard(rows, board["ranked"], goals)),
        spec_section(_text(folder / BEST), _facts(manifest, ways)),
    ]
    name = Path(manifest["spec"]["name"]).name
    return page(f"Search of {name} for {manifest['task']['name']}", _lead(summary, rows), sections)


def _summary(folder: Path) -> Row:
    try:
        content = json.loads(_text(folder / SUMMARY) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _lead(summary: Row, rows: Sequence[Row]) -> Markup:
    said = summary.get("said") or [f"The search has not ended; {len(rows)} architectures were tried so far."]
    spent = summary.get("spent")
    if spent:
        usd = f", {spent['usd']:.4f} USD" if spent["usd"] else ""
        more = f"{spent['calls']:,} calls and {spent['tokens']:,} tokens were bought{usd}."
        said = [*said, f"{summary['trials']} architectures were tried until {summary['ended']}; {more}"]
    first, *rest = said
    return joined(paragraph(first, class_="lead"), items(*rest))


def _confirmation(summary: Row, goal: str) -> Markup:
    found = summary.get("confirmation")
    if not found:
        return tag("p", "Nothing was confirmed on held-out items.", class_="note")
    rows = [
        [f"trial {one['trial']}", _interval(one["search"]), _interval(one["held_out"]), f"{one['optimism']:+.3f}"]
        for one in found["confirmed"]
    ]
    heads = ["architecture", f"{goal} on the items of the search", "on held-out items", "optimism"]
    first = found["confirmed"][0]["held_out"]
    charted = [Bar("the winner", first["value"], f"{first['value']:.3f}", first["low"], first["high"])]
    against, is_accuracy = [], goal == "accuracy"
    for name, one in found["baselines"].items():
        share = one["accuracy"][0]
        charted.append(Bar(name, share["value"], f"{share['value']:.3f}", share["low"], share["high"]))
        lead, tokens, scale = one["lead"], one["tokens_per_item"], 100 if is_accuracy else 1
        gain = f"{scale * lead['value']:+.3g} [{scale * lead['low']:+.3g}, {scale * lead['high']:+.3g}]"
        against.append([name, f"{100 * share['value']:.1f} %", gain, number(tokens[0]), number(tokens[1])])
    unit = "points" if is_accuracy else goal
    heads_against = ["baseline", "right", f"the winner's lead in {unit}", "its tokens an item", "the winner's"]
    return joined(
        table(f"On {found['items']} held-out items, with intervals of 95 %", heads, rows),
        bars("Accuracy on held-out items, beside baselines of equal spend", charted) if is_accuracy and against else "",
        table("Against baselines, paired by item", heads_against, against) if against else "",
    )


def _interval(estimate: Row) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _spending(rows: Sequence[Row], goals: Sequence[Row], summary: Row) -> Markup:
    goal = goals[0]["text"]
    is_share = goal == "accuracy"
    sets = {"complete": "measured on all items", "stopped": "stopped early"}
    series = []
    for kind, name in sets.items():
        these = [row for row in rows if (row["status"] == "complete") == (kind == "complete")]
        series.append(Series(name, [_point(row, is_share) for row in these]))
    tokens = Axis.over("tokens an item", [row["figures"]["tokens"] for row in rows], log=True)
    values = Axis.over(goal, [row["estimate"][0] for row in rows], percent=is_share)
    shown = [scatter(f"{goal} against what an item costs", tokens, values, [one for one in series if one.points])]
    if len(goals) > 1:
        other = goals[1]["text"]
        across = Axis.over(other, [row["estimate"][1] for row in rows])
        points = [Point(row["estimate"][1], row["estimate"][0]) for row in rows]
        shown.append(scatter(f"{goal} against {other}", across, values, [Series("trials", points)]))
    if searched := summary.get("search"):
        charted = [
            Bar("every architecture on all items", searched["calls_in_full"], f"{searched['calls_in_full']:,} calls"),
            Bar("after racing", searched["calls_of_answers"], f"{searched['calls_of_answers']:,} calls"),
            Bar("bought, since trials share samples", searched["calls"], f"{searched['calls']:,} calls"),
        ]
        shown.append(bars("What the search took, and what it would have taken", charted))
    return joined(*shown)


def _point(row: Row, is_share: bool) -> Point:
    value, cost = row["estimate"][0], row["figures"]["tokens"]
    if row["status"] == "complete" and is_share:
        around = wilson(round(value * row["items"]), row["items"])
        return Point(cost, value, around.low, around.high)
    return Point(cost, value)


def _history(rows: Sequence[Row], goal: Row) -> Markup:
    ordered = sorted(rows, key=lambda row: row["number"])
    best: list[Point] = []
    for row in ordered:
        value = row["estimate"][0]
        if row["status"] == "complete" and (not best or goal["sign"] * value > goal["sign"] * best[-1].y):
            best.append(Point(row["number"], value))
    if ordered and best:
        best.append(Point(ordered[-1]["number"], best[-1].y))
    tried = [Point(row["number"], row["estimate"][0]) for row in ordered]
    axis = Axis.over("trial", [row["number"] for row in ordered])
    values = Axis.over(goal["text"], [point.y for point in tried], percent=goal["text"] == "accuracy")
    shown = [scatter("What each trial was worth", axis, values, [Series("trials", tried)])]
    if len(best) > 1:
        shown.insert(0, lines("The best so far", axis, values, [Series("best measured in full", best)], steps=True))
    return joined(*shown)


def _effects(rows: Sequence[Row], goal: str) -> Markup:
    trials = [(row["point"], float(row["estimate"][0])) for row in rows]
    known = effects(trials) if trials else []
    if not known:
        return Markup("")
    charted = [Bar(one.path, one.share, f"{100 * one.share:.0f} %") for one in known[:SHOWN]]
    options = [
        [one.path, option, f"{mean:.3f}", str(count)]
        for one in known[:SHOWN]
        for option, (mean, count) in one.means.items()
    ]
    shown = [
        bars("The share of the differences between trials that goes with each choice", charted),
        tag("p", "What went together with good results; a sampler does not try all options alike.", class_="note"),
    ]
    if len(known) > 1:
        one, other = known[0].path, known[1].path
        cells = together(trials, one, other)
        points = [point for point, _ in trials]
        across, down = (sorted(set(levels(path, points)), key=_ordered) for path in (one, other))
        shown.append(heat(f"{goal} by {one} and {other}", one, across, other, down, cells))
    shown.append(table("By option", ["choice", "option", goal, "trials"], options, numbers_from=2))
    return joined(*shown)


def _ordered(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text.split(" ")[0]), "")
    except ValueError:
        return (1, 0.0, text)


def _leaderboard(rows: Sequence[Row], ranked: int, goals: Sequence[Row]) -> Markup:
    heads = ["trial", "point", "status", *(goal["text"] for goal in goals), "items", "calls an item", "tokens an item"]
    body = []
    for row in rows[:LISTED]:
        point = " ".join(f"{path}={value_text(value)}" for path, value in row["point"].items())
        figures = row["figures"]
        why = f": {row['reason']}" if row.get("reason") else ""
        values = [f"{value:.4g}" for value in row["estimate"]]
        costs = [number(figures["calls"]), number(figures["tokens"])]
        body.append([str(row["number"]), point, f"{row['status']}{why}", *values, str(row["items"]), *costs])
    left = len(rows) - LISTED
    return joined(
        table(f"The first {ranked} are measured on all items, the best first", heads, body, numbers_from=3),
        tag("p", f"{left:,} more are in leaderboard.json.", class_="note") if left > 0 else "",
    )


def _facts(manifest: Row, ways: Sequence[str]) -> list[tuple[str, str]]:
    split = manifest.get("split", {})
    return [
        ("goal", ", ".join(ways)),
        ("constraints", ", ".join(manifest["subject_to"])),
        ("space", f"{manifest['spec']['name']}, {number(manifest['points'])} points" if manifest["points"] else ""),
        ("sampler", manifest["sampler"]),
        ("seed", str(manifest["seed"])),
        ("items", f"{len(split.get('search', []))} of the search, {len(split.get('held_out', []))} held out"),
        ("race", ", ".join(f"{name} {value:g}" for name, value in manifest["race"].items())),
        ("budget", ", ".join(f"{unit} {value}" for unit, value in (manifest["budget"] or {}).items())),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())),
        ("search", manifest["id"]),
        ("spec SHA-256", manifest["spec"]["sha256"]),
        ("data SHA-256", manifest["data"]["sha256"]),
    ]
