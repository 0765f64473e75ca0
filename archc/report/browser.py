"""Browser: the table of items, as data that the page's script shows; it is cut where a page would grow too large."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from archc.calls import Spend
from archc.report.html import Markup, cut, number, tag
from archc.report.told import Question, Step

MOST_ROWS: Final = 50_000
MOST_BYTES: Final = 16_000_000
"""Of all that was said, in characters of JSON."""
_LONGEST: Final = 12_000
"""Characters of one text."""
_CELL: Final = 160

Column = tuple[str, str]
"""Its name, and what kind it is: `num` for figures, `wide` for what small screens leave out."""


@dataclass
class Browser:
    """Items as they come, with what was said of them while there is room."""

    columns: Sequence[Column]
    rows: list[list[Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    left_out: int = 0
    """Items without a row."""
    without: int = 0
    """Questions whose details had no room."""
    _size: int = 0

    def add(self, id: str, state: str, cells: Sequence[str], tags: Sequence[str] = ()) -> None:
        """A row of the table; `state` is what came out, `tags` are more filters that it passes."""
        if len(self.rows) == MOST_ROWS:
            self.left_out += 1
        else:
            self.rows.append([id, state, list(tags), [cut(cell, _CELL) for cell in cells]])

    def tell(self, question: Question, item: str = "") -> None:
        """All that was said for an item; a question that went on from one before names its `item`."""
        detail = _detail(question)
        size = len(json.dumps(detail))
        if self._size + size > MOST_BYTES:
            self.without += 1
            return
        self._size += size
        if item and item in self.details:
            self.details[item].setdefault("then", []).append(detail)
        else:
            self.details[item or question.id] = detail

    def as_json(self, filters: Sequence[tuple[str, str]], missing: str) -> dict[str, Any]:
        """What the script wants. `filters` are states and tags with what they are called; the first shows all."""
        if self.without:
            missing = "what was said here is left out, so that the page does not grow too large"
        counts = [("", f"all ({len(self.rows):,})"), *((name, text) for name, text in filters if self._has(name))]
        listed = {row[0] for row in self.rows}
        details = {id: detail for id, detail in self.details.items() if id in listed}
        columns = [list(column) for column in self.columns]
        return {"columns": columns, "rows": self.rows, "details": details, "filters": counts, "missing": missing}

    def _has(self, name: str) -> bool:
        return any(name == state or name in tags for _, state, tags, _ in self.rows)

    @property
    def place(self) -> Markup:
        """Where the table goes in the page, and what it leaves out."""
        notes = []
        if self.left_out:
            notes.append(tag("p", f"{self.left_out:,} items more are left out of the table.", class_="note"))
        if self.without:
            text = f"For {self.without:,} questions, what was said is left out: it would make this page too large."
            notes.append(tag("p", text, class_="note"))
        script = tag("noscript", tag("p", "The table needs JavaScript, which this page brings with it.", class_="note"))
        return Markup("".join([*notes, tag("div", id="items"), script]))


def link(id: str) -> Markup:
    """A link that opens an item in the table."""
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else _quoted(sign) for sign in id)
    return tag("a", cut(id, 40), href=f"#item={safe}")


def _quoted(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "replace"))


def _detail(question: Question) -> dict[str, Any]:
    """A question as JSON; equal texts, which steps hand on, are there once."""
    places: dict[str, int] = {}

    def text(whole: str) -> int:
        more = f"\n… {len(whole) - _LONGEST:,} characters more" if len(whole) > _LONGEST else ""
        return places.setdefault(whole[:_LONGEST] + more, len(places))

    def candidate(one: Mapping[str, Any]) -> dict[str, Any]:
        long = {key: text(str(one[key])) for key in ("text", "critique", "reason") if one.get(key)}
        rest = {key: value for key, value in one.items() if key not in ("text", "critique", "reason") and value}
        kept = {key: one[key] for key in ("score", "passed", "logprob", "right") if one.get(key) is not None}
        return {"text": text(""), **rest, **kept, **long}

    def step(one: Step) -> dict[str, Any]:
        told: dict[str, Any] = {"node": one.node, "path": one.path, "notes": [cut(note, 500) for note in one.notes]}
        told["asks"] = [_asked(prompt, model, spent) for (prompt, model), spent in one.asks.items()]
        if one.candidates is not None:
            told["candidates"] = [candidate(each) for each in one.candidates]
        if one.tests:
            told["tests"] = [text(each) for each in one.tests]
        return told

    steps = [step(one) for one in question.steps.values()]
    asked = question.text[:_LONGEST]
    return {"question": asked, "error": question.error, "steps": steps, "texts": list(places)}


def _asked(prompt: str, model: str, spent: Spend) -> str:
    usd = f", {number(spent.usd)} USD" if spent.usd else ""
    calls = "1 call" if spent.calls == 1 else f"{spent.calls:,} calls"
    tokens = f"{spent.prompt:,} prompt and {spent.completion:,} completion tokens"
    return f"prompt `{prompt}` to {model}: {calls}, {tokens}{usd}"
