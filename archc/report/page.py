"""Page: the frame of a report. One file, nothing from elsewhere, and no script runs in it but its own."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from archc.report.html import Markup, escaped, joined, tag

_FOLDER: Final = Path(__file__).parent
_DATA_CLOSES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""What could end the element that holds the data, or begin another, as JSON may write it, too."""


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    content: Markup


def page(title: str, lead: Markup, sections: Iterable[Section], data: Mapping[str, Any] | None = None) -> str:
    """The whole file. `data` is what the page's script shows item by item (see `archc.report.browser`)."""
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )
    shown = [section for section in sections if section.content]
    body = joined(
        tag("header", tag("h1", title), lead),
        tag("main", *(_section(i, section) for i, section in enumerate(shown, 1))),
    )
    head = joined(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Markup(f"<style>{style}</style>"),
    )
    end = ""
    if data is not None:
        end = f'<script type="application/json" id="data">{_inert(data)}</script>\n<script>{script}</script>\n'
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n{end}</body>\n</html>\n'


def figure(caption: str, *content: Markup) -> Markup:
    """A picture with what it shows."""
    return tag("figure", *content, tag("figcaption", caption))


def legend(names: Sequence[str], dashed: frozenset[str] = frozenset()) -> Markup:
    """Which colour and mark stands for what, in the order of the chart's series; some are `dashed` lines."""
    entries = (tag("li", _mark(i, name in dashed), " ", name) for i, name in enumerate(names))
    return tag("ul", *entries, class_="legend")


def _mark(series: int, dashed: bool) -> Markup:
    line = tag("path", d="M0 7H14", class_=f"s{series % 6} dash")
    sign = line if dashed else shape(series, 7, 7)
    return tag("svg", sign, viewBox="0 0 14 14", class_="sign", aria_hidden="true")


def shape(series: int, x: float, y: float, size: float = 5) -> Markup:
    """The sign of a series: told apart by form as well as by colour."""
    colour = f"s{series % 6}"
    match series % 4:
        case 0:
            return tag("circle", cx=x, cy=y, r=size, class_=colour)
        case 1:
            return tag("rect", x=x - size, y=y - size, width=2 * size, height=2 * size, class_=colour)
        case 2:
            points = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y + size:.1f} {x - size:.1f},{y + size:.1f}"
        case _:
            points = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"
    return tag("polygon", points=points, class_=colour)


def _section(place: int, section: Section) -> Markup:
    name = f"section-{place}"
    return tag("section", tag("h2", section.title, id=name), section.content, aria_labelledby=name)


def _inert(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, separators=(",", ":"))  # ASCII: half surrogate pairs are escapes as well
    for sign, escape in _DATA_CLOSES.items():
        text = text.replace(sign, escape)
    return text


@cache
def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def paragraph(text: str, **attributes: str) -> Markup:
    """A paragraph; line breaks are kept."""
    return tag("p", escaped(text), **attributes)
