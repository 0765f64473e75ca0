"""Run: the report of a run of the journal, and of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archc import api
from archc.calls import NOTHING
from archc.diagnostics import RunError, SpecError
from archc.exporters.recorded import Recorded, Recording
from archc.ir.graph import Graph
from archc.report.browser import Browser
from archc.report.html import Markup, joined, number, tag
from archc.report.page import Section, page
from archc.report.parts import spec_section, steps_section, timeline_section
from archc.report.told import Question, Telling, retold, totals

_COLUMNS = [("question", "wide"), ("answer", ""), ("tokens", "num"), ("USD", "num wide")]
_FILTERS = [("ok", "answered"), ("failed", "failed"), ("exhausted", "ended by a budget"), ("stopped", "stopped")]


async def run_report(run: str, journal: Path | None = None, sessions: Sequence[Recording] = ()) -> str:
    """The page on a run that the journal has, by the begin of its id. Raises RunError if it has none such."""
    plan, known = api.recorded(run, journal)
    questions = [question async for question in retold(run, journal)]
    name, text, _ = (plan.recipe or {}).get("spec", ("", "", ""))
    title = plan.graph.name or Path(name).stem
    facts = [("run", run), ("seed", str(known.seed)), ("spec", name)]
    facts += [(f"model {model}", fingerprint) for model, fingerprint in known.fingerprints.items()]
    return _page(title, questions, plan.graph, sessions, spec_section(text, facts), "it had not ended")


async def trace_report(recorded: Recorded, journal: Path | None = None) -> str:
    """The page on a trace; where the journal knows its runs, with the graph and what was said, too."""
    questions, graphs, texts = list[Question](), dict[str, Graph](), list[Section]()
    for place, session in enumerate(recorded.sessions, 1):
        telling = Telling()
        for event in session.events:
            if event["event"] != "left":  # no run writes that: it would be somebody else's
                telling(event)
        for told in await _known(str(session.events[0].get("run", "")), journal, graphs, texts):
            if old := telling.questions.get(told.id):
                told.status = old.status or told.status
                telling.questions[told.id] = told
        for question in telling.questions.values():
            question.id = f"{place}/{question.id}" if len(recorded.sessions) > 1 else question.id
            questions.append(question)
    names = list(dict.fromkeys(str(s.events[0].get("spec") or "") for s in recorded.sessions))
    graph = next(iter(graphs.values())) if len(graphs) == len(recorded.sessions) == 1 else None
    torn = f"{recorded.torn:,} torn lines of the trace are left out" if recorded.torn else ""
    missing = "the trace has no texts, and the journal does not know the run"
    last = texts[0] if graph else Section("How it was made", Markup(""))
    title = ", ".join(filter(None, names)) or "a trace"
    return _page(title, questions, graph, recorded.sessions, last, missing, torn)


async def _known(run: str, journal: Path | None, graphs: dict[str, Graph], texts: list[Section]) -> list[Question]:
    """What the journal tells of a session's run, if it knows it."""
    if not run or run in graphs:
        return []
    try:
        plan, known = api.recorded(run, journal)
        questions = [question async for question in retold(run, journal)]
    except (RunError, SpecError):
        return []
    graphs[run] = plan.graph
    name, text, _ = (plan.recipe or {}).get("spec", ("", "", ""))
    texts.append(spec_section(text, [("run", run), ("seed", str(known.seed)), ("spec", name)]))
    return questions


def _page(
    title: str,
    questions: Sequence[Question],
    graph: Graph | None,
    sessions: Sequence[Recording],
    last: Section,
    missing: str,
    note: str = "",
) -> str:
    browser = Browser(_COLUMNS)
    for question in questions:
        spent = question.spent
        answer = question.answer if question.answer is not None else question.error
        cells = [question.text, answer, number(spent.tokens), number(spent.usd)]
        browser.add(question.id, question.status or "not ended", cells)
        if question.text or question.steps:
            browser.tell(question)
    sections = [
        steps_section(graph, totals(questions, graph), len(questions)),
        timeline_section(sessions),
        Section("Questions", browser.place),
        last,
    ]
    return page(title, _lead(questions, note), sections, browser.as_json(_FILTERS, missing))


def _lead(questions: Sequence[Question], note: str) -> Markup:
    spent = sum((question.spent for question in questions), NOTHING)
    usd = f" and {number(spent.usd)} USD" if spent.usd else ""
    many = "1 question" if len(questions) == 1 else f"{len(questions):,} questions"
    counts = _counts(questions)
    figures = f"{many} ({counts}), {spent.calls:,} calls, {spent.tokens:,} tokens{usd}."
    parts = [tag("p", figures, class_="lead")]
    parts.append(tag("p", "Costs are what the answers cost when they were bought.", class_="soft"))
    if len(questions) == 1 and questions[0].answer is not None:
        parts.append(tag("pre", questions[0].answer))
    if note:
        parts.append(tag("p", note, class_="note"))
    return joined(*parts)


def _counts(questions: Sequence[Question]) -> str:
    names: Mapping[str, str] = dict(_FILTERS)
    found: dict[str, int] = {}
    for question in questions:
        status = names.get(question.status, question.status or "not ended")
        found[status] = found.get(status, 0) + 1
    return ", ".join(f"{count:,} {status}" for status, count in found.items())
