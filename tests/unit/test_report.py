"""`archc report`: one HTML file on a run, from which no text breaks out and which needs nothing from elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from archc import api
from archc.cli import main
from archc.report import browser as browsing
from archc.report.axes import Axis
from archc.report.charts import Bar, Point, Series, bars, lines, scatter
from archc.report.graph import Weight, graph_picture
from archc.report.html import tag
from tests import browser
from tests.unit.test_bench import ANSWERS, PROMPT, Bench, bench

__all__ = ["bench"]

HOSTILE = "</script><script>window.broken=1</script><img src=http://x.test/i onerror=window.broken=2>'\"--><!--\u2028"
"""What a model, a question or a spec may say."""
JUDGE = [{"critique": {"model": "m"}}, {"rank": {"model": "m", "top_k": 4}}]


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def data_of(page: str) -> Any:
    """What the script of a page shows."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


@pytest.fixture
def loops(bench: Bench) -> Bench:
    """A spec with a loop and a judge, and hostile texts wherever somebody else may write them."""
    known = {question + PROMPT: answer for question, answer in ANSWERS.items()}
    known[f"Why? {HOSTILE}{PROMPT}"] = HOSTILE
    model = {"backend": "simulated", "skill": 0.6, "answers": known, "price": {"prompt": 1, "completion": 2}}
    loop = {"repeat": {"times": 2, "do": [{"critique": {"model": "m"}}, {"refine": {"model": "m"}}]}}
    pipeline = [{"generate": {"model": "m", "n": 4}}, loop, *JUDGE]
    bench.write("loops.yaml", json.dumps({"name": f"loops {HOSTILE}", "models": {"m": model}, "pipeline": pipeline}))
    questions = [*ANSWERS.items(), (f"Why? {HOSTILE}", HOSTILE)]
    lines = [json.dumps({"question": q, "answer": a, "id": f"q{i}"}) for i, (q, a) in enumerate(questions)]
    lines[-1] = json.dumps({"question": questions[-1][0], "answer": HOSTILE, "id": HOSTILE})
    bench.write("own.jsonl", "\n".join(lines))
    bench.write(
        "task.yaml",
        json.dumps({"slices": {"test": "own.jsonl"}, "grader": "exact", "prompt": "{question}" + PROMPT}).replace(
            '"grader"', '"extract": {"kind": "regex", "pattern": "answer is (.*)[.]"}, "grader"'
        ),
    )
    ended = bench("bench", "loops.yaml", "--task", "task.yaml", "--run", "r", "--baselines", "--trace", "t.jsonl", "-q")
    assert ended.code == 0, ended.err
    return bench


def written(bench: Bench, *words: str) -> str:
    ended = bench("report", *words, "-o", "out.html")
    assert ended.code == 0, ended.err
    return (bench.folder / "out.html").read_text(encoding="utf-8")


def test_it_says_what_won_in_words_and_figures(loops: Bench) -> None:
    page = written(loops, "r")
    told = loops("compare", "r/baselines/greedy", "r", "--json").json
    summary = loops.json("r", "summary.json")
    words = " ".join(Seen(page).texts)

    assert f"{100 * summary['accuracy']['value']:.1f} %" in words
    assert f"{100 * told['difference']['value']:+.1f} points" in words
    assert {tag for row in data_of(page)["rows"] for tag in row[2]} >= (
        {"won:greedy"} if told["wins"] else {"lost:greedy"} if told["losses"] else set()
    )
    for name in ("greedy", "best-of-n@", "self-consistency@", "critique", "refine", "repeat"):
        assert name in words


def test_an_item_opens_to_all_that_was_said(loops: Bench) -> None:
    data = data_of(written(loops, "r"))
    records = {record["id"]: record for record in loops.lines("r")}

    assert data["details"].keys() == records.keys()
    assert {row[0]: row[1] for row in data["rows"]} == {
        id: "right" if record["correct"] else "wrong" for id, record in records.items()
    }
    for id, detail in data["details"].items():
        steps = [(step["node"], step["path"]) for step in detail["steps"]]
        last = detail["steps"][-1]["candidates"]
        assert detail["question"].endswith(PROMPT)
        assert {"generate", "repeat", "rank"} <= {node for node, _ in steps}
        assert {("critique", "0"), ("critique", "1"), ("refine", "0"), ("refine", "1")} <= set(steps)
        assert [len(step["candidates"]) for step in detail["steps"]] == [4] * len(steps)
        assert detail["texts"][last[0]["text"]] == records[id]["text"]
        assert all(len(ask) > 10 for step in detail["steps"] for ask in step["asks"])
        assert [one["right"] for one in last] == [entry["correct"] for entry in records[id]["pool"]]
        judged = next(step for step in detail["steps"] if step["node"] == "critique")
        assert all("critique" in candidate for candidate in judged["candidates"])


def test_nothing_breaks_out_and_nothing_is_fetched(loops: Bench) -> None:
    run = loops.json("r", "manifest.json")["run_id"]
    for words in (["r", "--trace", "t.jsonl"], ["t.jsonl"], [run]):
        seen = Seen(written(loops, *words))
        policy = next(value for key, value in seen.attributes if key == "content" and value and "default-src" in value)

        assert seen.tags.count("script") == 2
        assert not {"img", "link", "iframe", "object", "base", "form", "embed", "image", "use"} & set(seen.tags)
        assert [a for a in seen.attributes if a[0].startswith("on") or a[0] in ("src", "style", "xlink:href")] == []
        assert all(str(value).startswith("#item=") for key, value in seen.attributes if key == "href")
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy


def test_a_run_of_the_journal_and_its_trace_have_the_same_figures(loops: Bench) -> None:
    run = loops.json("r", "manifest.json")["run_id"]
    loops("bench", "one.yaml", "--task", "q.jsonl", "--run", "one", "--trace", "one.jsonl", "-q")
    of_run = data_of(written(loops, loops.json("one", "manifest.json")["run_id"]))
    of_trace = data_of(written(loops, "one.jsonl"))

    assert of_run["rows"] == of_trace["rows"]
    assert of_run["details"] == of_trace["details"]
    assert len(data_of(written(loops, run[:6]))["rows"]) == 21


def test_without_the_journal_it_says_so_and_has_the_rest(loops: Bench) -> None:
    (loops.folder / "journal").unlink()
    page, trace = written(loops, "r"), written(loops, "t.jsonl")
    words = " ".join(Seen(page).texts)

    assert "the journal does not tell what was said" in words
    assert data_of(page)["details"] == {}
    assert len(data_of(page)["rows"]) == 21
    assert "critique" in words
    assert "the journal does not know the run" in data_of(trace)["missing"]
    assert "Timeline" in trace


def test_a_key_in_the_spec_or_in_an_override_is_not_in_it(bench: Bench) -> None:
    key = "sk-proj-0123456789abcdefghij"
    text = (bench.folder / "one.yaml").read_text()
    bench.write("one.yaml", text.replace('{"generate": {', f'{{"generate": {{"prompt": "{{question}} {key}", '))
    assert bench.run("one", "--set", f"generate.prompt=Say {key} {{question}}").code == 0
    page = written(bench, "one")

    assert "{question}" in page
    assert key not in page


def test_what_is_too_much_is_left_out_and_said(loops: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "MOST_BYTES", 40_000)
    monkeypatch.setattr(browsing, "MOST_ROWS", 15)
    page = written(loops, "r")
    data = data_of(page)

    assert len(data["rows"]) == 15
    assert 0 < len(data["details"]) < 15
    assert "6 items more are left out" in page
    assert "what was said is left out" in page


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (["nothing"], 1, "no-such-run"),
        (["runs/nothing"], 2, "no-such-file"),
        (["q.jsonl"], 2, "no-trace"),
        (["."], 2, "not-a-bench"),
        (["one", "--trace", "nowhere.jsonl"], 2, "no-such-file"),
    ],
)
def test_what_is_no_run_is_said(words: list[str], code: int, name: str, bench: Bench) -> None:
    bench.run("one", "-q")
    ended = bench("report", *words)

    assert (ended.code, name in ended.err) == (code, True), ended.err


def test_charts_put_values_where_their_axes_say() -> None:
    points = [Point(1, 0.2, 0.1, 0.3), Point(10, 0.4, 0.3, 0.5), Point(100, 0.6, 0.5, 0.7)]
    x = Axis("k", 1, 100, log=True)
    shown = scatter("c", x, Axis("y", 0, 1, percent=True), [Series("a", points)])
    circles = [(float(a), float(b)) for a, b in re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="4.5"', shown)]

    assert circles[1][0] - circles[0][0] == pytest.approx(circles[2][0] - circles[1][0])
    assert circles[0][1] - circles[1][1] == pytest.approx(circles[1][1] - circles[2][1])
    assert [text for _, text in x.ticks()] == ["1", "2", "5", "10", "20", "50", "100"]
    assert shown.count('class="s0 whisker"') == 3


SPECS = sorted(path for path in (Path(__file__).parents[2] / "specs").iterdir() if path.suffix in (".yaml", ".arch"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.name)
def test_every_step_of_a_graph_has_a_place_of_its_own(spec: Path) -> None:
    graph = api.compile(spec).graph
    shown = graph_picture(graph, {node.id: Weight("9 calls", 0.5) for node in graph.every}, "steps")
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', shown)
    cards = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" rx="6" class="node">', shown
    )
    places = [tuple(map(float, card)) for card in cards]

    assert size
    assert len(places) == len(graph.every)
    for x, y, wide, high in places:
        assert x + wide <= float(size[1])
        assert y + high <= float(size[2])
    for (x, y, wide, high), (x2, y2, wide2, high2) in itertools.combinations(places, 2):
        assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y


def test_steps_hold_until_the_next_value() -> None:
    shown = lines("c", Axis("n", 0, 10), Axis("best", 0, 1), [Series("a", [Point(0, 0), Point(10, 1)])], steps=True)
    corners = re.search(r'<polyline points="([^"]+)"', shown)
    assert corners
    (_, low), (x, kept), (end, high) = (tuple(map(float, at.split(","))) for at in corners[1].split())

    assert (kept, x) == (low, end)
    assert high < low


def test_bars_are_as_long_as_their_values() -> None:
    shown = bars("c", [Bar("a", 1.0, "1"), Bar("b", 2.0, "2", 1.5, 2.5)])
    wide = [float(width) for width in re.findall(r'width="([\d.]+)" height="12"', shown)]

    assert wide[1] == pytest.approx(2 * wide[0])


@pytest.mark.parametrize("values", [[], [0.0], [3.0], [1e-9, 1e12], [-5.0, 5.0], [7.0, 7.0]])
@pytest.mark.parametrize("log", [False, True])
def test_axes_have_ticks_for_any_values(values: list[float], log: bool) -> None:
    axis = Axis.over("x", values, log=log)
    ticks = list(axis.ticks())

    assert axis.low < axis.high
    assert 1 <= len(ticks) <= 24
    assert all(0 <= axis.share(value) <= 1 for value, _ in ticks)


def test_text_is_markup_nowhere() -> None:
    assert tag("p", "<b>&", title="\"><x y='") == '<p title="&quot;&gt;&lt;x y=&#x27;">&lt;b&gt;&amp;</p>'
    assert tag("p", "a\x00b\ud800") == "<p>a�b�</p>"


# ---- in a browser


@pytest.mark.skipif(browser.FOUND is None, reason="there is no Chromium to look at the page with")
def test_a_browser_shows_it_without_complaint(loops: Bench) -> None:
    written(loops, "r", "--trace", "t.jsonl")
    page = (loops.folder / "out.html").as_uri()

    async def look() -> None:
        async with browser.opened(loops.folder / "profile") as tab:
            for width, dark in ((390, False), (1280, True)):
                await tab.show(page, width, dark)
                assert await tab.value("document.documentElement.scrollWidth") <= width
                assert await tab.value("document.querySelectorAll('#items tbody tr').length") == 21
                await opens_all(tab)
                assert await tab.value("document.documentElement.scrollWidth") <= width
            await filters(tab)
            await tab.show(f"{page}#item=q3", 390)
            assert await tab.value("document.activeElement.textContent") == "q3"
            assert await tab.value("document.activeElement.getAttribute('aria-expanded')") == "true"
            assert tab.said == []
            assert [url for url in tab.requests if not url.startswith((page, "about:"))] == []

    asyncio.run(look())


async def opens_all(tab: browser.Tab) -> None:
    """Every item and every step, with the hostile one as text."""
    await tab.value("document.querySelectorAll('#items .open').forEach((one) => one.click())")
    await tab.value("document.querySelectorAll('#items details').forEach((one) => { one.open = true; })")
    await tab.value("new Promise((done) => setTimeout(done))")  # `toggle` is told to listeners in a task of its own
    assert await tab.value("document.querySelectorAll('#items .inside').length") == 21
    assert await tab.value("document.querySelectorAll('#items .candidate').length") > 21 * 4 * 6
    shown = await tab.value("[...document.querySelectorAll('#items pre')].map((one) => one.textContent)")
    assert any(HOSTILE in text for text in shown)
    assert await tab.value("window.broken === undefined && document.querySelector('img') === null")


async def filters(tab: browser.Tab) -> None:
    """The table by outcome."""
    await tab.value("document.querySelector('#items select').value = 'wrong'")
    await tab.value("document.querySelector('#items select').dispatchEvent(new Event('change'))")
    rows = await tab.value("JSON.parse(document.getElementById('data').textContent).rows")
    wrong = [row[0] for row in rows if row[1] == "wrong"]

    assert await tab.value("[...document.querySelectorAll('#items .open')].map((one) => one.textContent)") == wrong
    assert (await tab.value("document.querySelector('[role=status]').textContent")).startswith(f"{len(wrong)} of 21")


def test_the_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])

    assert "one HTML file" in capsys.readouterr().out
