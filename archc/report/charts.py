"""Charts: scatter, lines, bars and a timeline, as SVG that takes its colours from the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from archc.report.axes import Axis, Frame, picture
from archc.report.html import Markup, cut, escaped, joined, number, scrolled, tag
from archc.report.page import figure, legend, shape


@dataclass(frozen=True)
class Point:
    """A value with its interval, if it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points that belong together."""

    name: str
    points: Sequence[Point]
    fitted: bool = False
    """Whether it is a curve through what was measured: a dashed line without marks."""


def scatter(caption: str, x: Axis, y: Axis, series: Sequence[Series]) -> Markup:
    """Points with the intervals of their y, a sign for each series."""
    frame = Frame(x, y)
    marks = [_marked(frame, i, point, one.name) for i, one in enumerate(series) for point in one.points]
    return figure(caption, frame.drawn(joined(*marks), caption), legend([one.name for one in series]))


def lines(caption: str, x: Axis, y: Axis, series: Sequence[Series], *, steps: bool = False) -> Markup:
    """Lines through the points of each series, with the intervals as bands; with `steps` values hold up to the next."""
    frame = Frame(x, y)
    drawn: list[Markup] = []
    for i, one in enumerate(series):
        colour = f"s{i % 6}"
        if band := [p for p in one.points if p.low is not None and p.high is not None]:
            around = [(p.x, p.high or 0.0) for p in band] + [(p.x, p.low or 0.0) for p in reversed(band)]
            drawn.append(tag("polygon", points=frame.points(around), class_=f"{colour} band"))
        values = [(p.x, p.y) for p in one.points]
        if steps:
            values = [values[0], *(at for a, b in pairwise(values) for at in ((b[0], a[1]), b))] if values else []
        kind = f"{colour} line fit" if one.fitted else f"{colour} line"
        drawn.append(tag("polyline", points=frame.points(values), class_=kind))
        if not one.fitted and len(one.points) <= _MARKED:
            drawn += [_sign(frame, i, point, one.name) for point in one.points]
    signs = legend([one.name for one in series], frozenset(one.name for one in series if one.fitted))
    return figure(caption, frame.drawn(joined(*drawn), caption), signs)


_MARKED: Final = 40
"""Points of a line up to which each has a mark."""


@dataclass(frozen=True)
class Bar:
    """One bar."""

    name: str
    value: float
    text: str
    """The value as it is shown."""
    low: float | None = None
    high: float | None = None


def bars(caption: str, rows: Sequence[Bar]) -> Markup:
    """Horizontal bars from 0, each under its name."""
    width, height = 440, 38
    most = max((max(row.value, row.high or 0.0) for row in rows), default=0.0) or 1.0
    drawn = []
    for i, row in enumerate(rows):
        top, scale = i * height, (width - 110) / most
        drawn.append(tag("text", cut(row.name, 60), x=0, y=top + 12))
        long = max(1.0, row.value * scale)
        drawn.append(tag("rect", x=0, y=top + 17, width=long, height=12, class_="s0"))
        end = long
        if row.low is not None and row.high is not None:
            end = max(long, row.high * scale)
            drawn.append(tag("path", d=f"M{row.low * scale:.1f} {top + 23}H{end:.1f}", class_="s1 whisker"))
        drawn.append(tag("text", row.text, x=end + 6, y=top + 27, class_="dim"))
    about = f"{caption}: " + "; ".join(f"{row.name} {row.text}" for row in rows)
    return figure(caption, picture(joined(*drawn), width, max(1, len(rows)) * height, about))


Cells = Mapping[tuple[str, str], tuple[float, int]]
"""By names across and down: a value, and how many measurements it is of."""


def heat(caption: str, x: str, across: Sequence[str], y: str, down: Sequence[str], cells: Cells) -> Markup:
    """A cell for each pair of names, the darker the more it is worth, with the value and how often it was measured."""
    values = [value for value, _ in cells.values()]
    low, high = min(values, default=0.0), max(values, default=1.0)
    wide, tall, left, top = 86, 34, 120, 40
    drawn = [tag("text", cut(x, 40), x=left, y=12), tag("text", cut(y, 18), x=0, y=top - 8)]
    drawn += [
        tag("text", cut(name, 12), x=left + (i + 0.5) * wide, y=top - 8, text_anchor="middle", class_="dim")
        for i, name in enumerate(across)
    ]
    for j, row in enumerate(down):
        drawn.append(tag("text", cut(row, 16), x=0, y=top + j * tall + 21, class_="dim"))
        for i, column in enumerate(across):
            if (cell := cells.get((column, row))) is None:
                continue
            value, count = cell
            share = (value - low) / (high - low) if high > low else 0.5
            place = {"x": left + i * wide, "y": top + j * tall}
            about = tag("title", f"{column}, {row}: {value:.3f}, {count} trials")
            size = {"width": wide - 3, "height": tall - 3, "opacity": 0.12 + 0.5 * share}
            drawn.append(tag("rect", about, **place, **size, class_="s0"))
            text = f"{value:.3f} ({count})"
            middle = {"x": place["x"] + (wide - 3) / 2, "y": place["y"] + 20}
            drawn.append(tag("text", text, **middle, text_anchor="middle"))
    whole = picture(joined(*drawn), left + len(across) * wide, top + len(down) * tall, caption, wide=True)
    return figure(caption, scrolled(whole, caption))


@dataclass(frozen=True)
class Span:
    """Something that lasted, in seconds."""

    start: float
    end: float
    series: int
    about: str
    failed: bool = False


def timeline(caption: str, lanes: Sequence[tuple[str, Sequence[Span]]], names: Sequence[str]) -> Markup:
    """Spans in lanes; within a lane, those that overlap lie below each other. `names` are those of the series."""
    seconds = max((span.end for _, spans in lanes for span in spans), default=0.0) or 1.0
    axis = Axis("seconds", 0.0, seconds)
    left, wide, row = 110, 720, 9
    drawn, top = [], 22.0
    for name, spans in lanes:
        packed = _rows(spans)
        drawn.append(tag("text", cut(name, 18), tag("title", name), x=0, y=top + 9))
        for place, these in enumerate(packed):
            drawn += [_span(one, axis, left, wide, top + place * row) for one in these]
        top += max(16, len(packed) * row + 6)
        drawn.append(tag("line", x1=0, x2=left + wide, y1=top - 4, y2=top - 4, class_="grid"))
    for value, text in axis.ticks():
        x = left + axis.share(value) * wide
        drawn.append(tag("line", x1=x, x2=x, y1=18, y2=top, class_="grid"))
        drawn.append(tag("text", f"{text} s", x=x, y=12, text_anchor="middle", class_="dim"))
    whole = picture(joined(*drawn), left + wide + 24, top + 4, caption, wide=True)
    return figure(caption, scrolled(whole, caption), legend(names))


def _span(span: Span, axis: Axis, left: float, wide: float, top: float) -> Markup:
    start, end = (left + axis.share(value) * wide for value in (span.start, span.end))
    kind = f"s{span.series % 6} fail" if span.failed else f"s{span.series % 6}"
    return tag("rect", tag("title", span.about), x=start, y=top, width=max(1.0, end - start), height=7, class_=kind)


def _rows(spans: Iterable[Span]) -> list[list[Span]]:
    """The spans in as few rows as they fit in."""
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        free = next((row for row in rows if row[-1].end <= span.start), None)
        if free is None:
            rows.append([span])
        else:
            free.append(span)
    return rows


def _marked(frame: Frame, series: int, point: Point, name: str) -> Markup:
    """A point with the whisker of its interval."""
    sign = _sign(frame, series, point, name)
    if point.low is None or point.high is None:
        return sign
    (x, top), (_, bottom) = frame.at(point.x, point.high), frame.at(point.x, point.low)
    ends = f"M{x - 4:.1f} {top:.1f}h8M{x:.1f} {top:.1f}V{bottom:.1f}M{x - 4:.1f} {bottom:.1f}h8"
    return joined(tag("path", d=ends, class_=f"s{series % 6} whisker"), sign)


def _sign(frame: Frame, series: int, point: Point, name: str) -> Markup:
    interval = "" if point.low is None or point.high is None else f" [{number(point.low)}, {number(point.high)}]"
    about = tag("title", escaped(f"{name}: {number(point.y)}{interval} at {number(point.x)}"))
    return tag("g", about, shape(series, *frame.at(point.x, point.y), 4.5))
