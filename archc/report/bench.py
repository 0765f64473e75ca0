"""Bench: the report of a run of a task: what won, at what price, and item by item what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archc import api
from archc.bench.compare import Comparison, compare
from archc.bench.folder import Measured, read_folder
from archc.bench.metrics.intervals import Estimate
from archc.bench.summary import Record, percent, summarised
from archc.diagnostics import RunError, SpecError
from archc.exporters.recorded import Recording
from archc.ir.graph import Graph
from archc.report.axes import Axis
from archc.report.browser import Browser, link
from archc.report.charts import Point, Series, scatter
from archc.report.html import Markup, items, joined, number, table, tag
from archc.report.page import Section, page
from archc.report.parts import spec_section, steps_section, timeline_section
from archc.report.pools import pool_section
from archc.report.told import Question, retold, totals
from archc.runtime.batch import turn_id

LISTED = 200
"""Items that only one of two has right, at most, that are named."""


@dataclass(frozen=True)
class Rival:
    """A baseline, and the run against it."""

    name: str
    comparison: Comparison

    @cached_property
    def won(self) -> frozenset[str]:
        """Items that only the run has right."""
        return frozenset(self.comparison.wins)

    @cached_property
    def lost(self) -> frozenset[str]:
        """Items that only the baseline has right."""
        return frozenset(self.comparison.losses)


async def bench_report(folder: Path, sessions: Sequence[Recording] = (), journal: Path | None = None) -> str:
    """The page on a folder of `archc bench`; what was said comes from the journal that it names, or from another.

    Raises SpecError if it is no such folder.
    """
    run = read_folder(folder)
    records = list(run.records.values())
    summary = summarised(records, max(int(run.manifest.get("selected", 0)), len(records)), _metrics(run))
    tried = list(_rivals(run))
    rivals = _nearest(tried, summary["per_item"]["tokens"])
    graph = _graph(run)
    browser = Browser([("answer", ""), ("right answer", "wide"), ("tokens", "num"), ("USD", "num wide")])
    for record in records:
        browser.add(str(record["id"]), _state(record), _cells(record), _tags(record, rivals))
    named = journal or (Path(run.manifest["journal"]) if run.manifest.get("journal") else None)
    questions, missing = await _told(records, named, browser)
    spent = totals(questions, graph)
    mine = {str(record.get("run_id")) for record in records} - {"", "None"}
    shown = [one for one in sessions if str(one.events[0].get("run", "")) in mine] if mine else list(sessions)
    sections = [
        Section("Accuracy and spending", _spending(run, summary, tried)),
        Section("What flipped", joined(*(_flipped(rival) for rival in rivals))),
        pool_section(summary.get("pool")),
        steps_section(graph, spent, len(records) if questions else 0),
        timeline_section(shown, run.records),
        Section("Items", browser.place),
        spec_section(str(run.manifest["spec"].get("text", "")), _facts(run)),
    ]
    title = f"{run.manifest['spec']['name']} on {run.manifest['task']['name']}"
    filters = [(state, state) for state in dict.fromkeys(["right", "wrong", *map(_state, records)])]
    filters += [("abstained", "abstained")]
    filters += [(f"{way}:{r.name}", f"{way} against {r.name}") for r in rivals for way in ("won", "lost")]
    return page(title, _lead(summary, rivals, missing), sections, browser.as_json(filters, missing))


def _metrics(run: Measured) -> list[str]:
    """What the task counts beside right and wrong."""
    return [str(name) for name in run.manifest["task"].get("metrics") or ()]


def _rivals(run: Measured) -> Sequence[Rival]:
    """The baselines beside it that can be compared, the cheapest first."""
    found = []
    for path in sorted((run.path / "baselines").glob("*")):
        try:
            found.append(Rival(path.name, compare(read_folder(path), run)))
        except SpecError:  # one that was stopped before its first answer, or is of other data
            continue
    return sorted(found, key=lambda rival: rival.comparison.tokens[0])


def _nearest(tried: Sequence[Rival], tokens: float) -> list[Rival]:
    """Of those that differ in the number of samples only, the one nearest in tokens."""
    best: dict[str, Rival] = {}
    for rival in sorted(tried, key=lambda one: abs(one.comparison.tokens[0] - tokens)):
        best.setdefault(rival.name.partition("@")[0], rival)
    return [rival for rival in tried if rival in best.values()]


def _graph(run: Measured) -> Graph | None:
    """What was run; None if this archc cannot read it any more."""
    try:
        return api.recompile(run.manifest["recipe"]).graph
    except (SpecError, KeyError, TypeError, ValueError, AttributeError):
        return None


async def _told(records: Sequence[Record], journal: Path | None, browser: Browser) -> tuple[list[Question], str]:
    """What the journal tells of the items, without their texts; and why nothing more is told, where that is so."""
    questions: list[Question] = []
    missing = "nothing was kept of what was said: the run had no journal"
    answered = {name: record for record in records for name in _turns(record)}
    for run in dict.fromkeys(str(record["run_id"]) for record in records if record.get("run_id")):
        try:
            async for question in retold(run, journal):
                if question.id in answered and answered[question.id].get("run_id") == run:
                    question.error = str(answered[question.id].get("why") or question.error)
                    _mark(question, answered[question.id].get("pool") or [])
                    browser.tell(question, str(answered[question.id]["id"]))
                    questions.append(_light(question))
        except (RunError, SpecError) as error:
            first = error.diagnostics[0] if isinstance(error, SpecError) else error.diagnostic
            missing = f"the journal does not tell what was said: {first.headline}"
    return questions, missing if len(browser.details) + browser.without < len(records) else ""


def _turns(record: Record) -> list[str]:
    """The ids of the questions of an item: one for each turn of its conversation."""
    return [turn_id(str(record["id"]), turn) for turn in range(1, max(1, len(record.get("turns") or ())) + 1)]


def _mark(question: Question, pool: Sequence[Mapping[str, Any]]) -> None:
    """Says of the candidates that the item ended with which are right."""
    last = list(question.steps.values())[-1] if question.steps else None
    if last and last.candidates and len(last.candidates) == len(pool):
        last.candidates = [{**c, "right": bool(e["correct"])} for c, e in zip(last.candidates, pool, strict=True)]


def _light(question: Question) -> Question:
    """The figures alone: ten thousand items with all that was said are too much to keep."""
    question.text = ""
    for step in question.steps.values():
        step.candidates, step.tests = None, []
    return question


def _state(record: Record) -> str:
    return "right" if record["correct"] else "wrong" if record["status"] == "ok" else str(record["status"])


def _cells(record: Record) -> list[str]:
    answer = "(abstained)" if record.get("abstained") else record.get("answer")
    shown = record.get("error") or "" if answer is None else answer
    golds = " | ".join(map(str, record.get("gold", [])))
    return [str(shown), golds, number(record["tokens"]), number(record.get("usd", 0.0))]


def _tags(record: Record, rivals: Sequence[Rival]) -> list[str]:
    id, tags = str(record["id"]), ["abstained"] if record.get("abstained") else []
    tags += [f"won:{rival.name}" for rival in rivals if id in rival.won]
    return tags + [f"lost:{rival.name}" for rival in rivals if id in rival.lost]


def _lead(summary: dict[str, Any], rivals: Sequence[Rival], missing: str) -> Markup:
    """What came out, in words."""
    cost = summary["per_item"]
    usd = f" and {number(cost['usd'])} USD" if cost["usd"] else ""
    many = f"{summary['answered']:,} items" if summary["answered"] != 1 else "1 item"
    told = (
        f"{percent(Estimate(**summary['accuracy']))} right of {many}, for {number(cost['tokens'])} tokens{usd} an item."
    )
    parts = [tag("p", told, class_="lead")]
    figures = {**({"score": summary["score"]} if "score" in summary else {}), **summary.get("metrics", {})}
    if figures:
        parts.append(items(*(f"{name}: {percent(Estimate(**share))}" for name, share in figures.items())))
    if judge := summary.get("judge"):
        spent = f"{judge['calls']:,} calls and {judge['tokens']:,} tokens"
        parts.append(tag("p", f"The judge that compared the answers took {spent} beside that.", class_="soft"))
    if rivals:
        parts.append(items(*(_verdict(rival) for rival in rivals)))
    else:
        parts.append(tag("p", "It was compared with nothing: `archc bench … --baselines` does.", class_="soft"))
    if summary["answered"] < summary["items"]:
        rest = summary["items"] - summary["answered"]
        parts.append(tag("p", f"{rest:,} items have no answer yet; they are in no figure.", class_="note"))
    if missing:
        parts.append(tag("p", f"Where steps are not told: {missing}.", class_="note"))
    return joined(*parts)


def _verdict(rival: Rival) -> Markup:
    """Who won against a baseline, by how much, and for how many times its tokens."""
    it = rival.comparison
    gap = f"{100 * it.difference.value:+.1f} points [{100 * it.difference.low:+.1f}, {100 * it.difference.high:+.1f}]"
    times = it.tokens[1] / it.tokens[0] if it.tokens[0] else 0.0
    price = " for as many tokens" if 0.95 < times < 1.05 else f" for {number(times)} times its tokens" if times else ""
    if it.difference.low <= 0 <= it.difference.high:
        return joined(
            tag("strong", f"No difference to {rival.name}"), f" that {it.items:,} items can show: {gap}{price}."
        )
    better = it.difference.value > 0
    word = tag("strong", f"{'Better' if better else 'Worse'} than {rival.name}", class_="good" if better else "bad")
    return joined(word, f": {gap}{price}.")


def _spending(run: Measured, summary: dict[str, Any], rivals: Sequence[Rival]) -> Markup:
    name = str(run.manifest["spec"]["name"])
    share = Estimate(**summary["accuracy"])
    rows = [(name, share, summary["per_item"]["calls"], summary["per_item"]["tokens"], summary["per_item"]["usd"])]
    for rival in rivals:
        it = rival.comparison
        rows.append((rival.name, it.accuracy[0], it.calls[0], it.tokens[0], it.usd[0]))
    series = [Series(n, [Point(t, a.value, a.low, a.high)]) for n, a, _, t, _ in rows]
    y = Axis.over("right", [end for _, a, *_ in rows for end in (a.low, a.high)], percent=True)
    x = Axis.over("tokens an item", [row[3] for row in rows], log=len(rows) > 1)
    listed = [[n, percent(a), number(c), number(t), number(u)] for n, a, c, t, u in rows]
    costs = table("The same in figures, for one item", ["run", "right", "calls", "tokens", "USD"], listed)
    seconds = {q: value for q, value in summary["seconds"].items() if value is not None}
    took = ", ".join(f"{q} {value:.2f}" for q, value in seconds.items())
    more = tag("p", f"Seconds for an item: {took}.", class_="soft") if took else Markup("")
    chart = scatter("Share of right answers, with intervals of 95 %, against tokens", x, y, series)
    return tag("div", chart, tag("div", costs, more), class_="pair")


def _flipped(rival: Rival) -> Markup:
    it = rival.comparison
    rows = [
        [f"{rival.name} right", str(it.both), str(len(it.losses))],
        [f"{rival.name} wrong", str(len(it.wins)), str(it.neither)],
    ]
    counts = table("Items by who has them right", ["", "this right", "this wrong"], rows)
    chance = tag("p", f"By chance alone, so uneven a count has p = {it.p:.2g} (McNemar, exact).", class_="soft")
    named = [
        tag("p", f"{word} ({len(ids):,}): ", *_links(ids), class_="ids")
        for word, ids in (("Won", it.wins), ("Lost", it.losses))
        if ids
    ]
    return joined(tag("h3", f"Against {rival.name}"), counts, chance, *named)


def _links(ids: Sequence[str]) -> list[Markup]:
    shown = [joined(link(id), " ") for id in ids[:LISTED]]
    return [*shown, joined(f"and {len(ids) - LISTED:,} more")] if len(ids) > LISTED else shown


def _facts(run: Measured) -> list[tuple[str, str]]:
    made = run.manifest
    data, selection = made["data"], made.get("selection", {})
    return [
        ("folder", str(run.path)),
        ("models", "; ".join(f"{m['name']}: {m['backend']} {m['model']}" for m in made.get("models", []))),
        ("seed", str(made.get("seed", ""))),
        ("data", f"{data.get('path', '')}, SHA-256 {data['sha256']}"),
        ("selection", ", ".join(f"{key} {value}" for key, value in selection.items() if value not in (None, ""))),
        ("task", f"{made['task']['name']}, graded by {made['task'].get('grader', '')}"),
        ("labels", str(made["task"].get("noise", ""))),
        ("budget", str(made.get("budget") or "")),
        ("changed", ", ".join(map(str, (made.get("recipe") or {}).get("set", [])))),
        ("archc", str(made.get("versions", {}).get("archc", ""))),
    ]
