"""Axes: where values lie in a picture, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from archc.report.html import Markup, joined, number, tag

WIDTH, HEIGHT = 440, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 14, 42


@dataclass(frozen=True)
class Axis:
    """One direction of a picture."""

    label: str
    low: float
    high: float
    log: bool = False
    percent: bool = False
    """Whether values are shares, shown as per cent."""

    @classmethod
    def over(cls, label: str, values: Iterable[float], *, log: bool = False, percent: bool = False) -> Axis:
        """An axis with room for all values; a log axis leaves out what is not positive."""
        known = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
        low, high = min(known, default=1.0 if log else 0.0), max(known, default=1.0)
        if log:
            room = 1.25 if high > 2 * low else 2.5  # wide enough for a round value
            return cls(label, low / room, high * room, log, percent)
        room = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
        low, high = (0.0 if 0 <= low < 0.35 * high else low - room), high + room
        return cls(label, max(0.0, low) if percent and low < 0 <= min(known, default=0) else low, high, log, percent)

    def share(self, value: float) -> float:
        """How far along the axis a value is, from 0 to 1; what lies outside is moved to its end."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, self.low))
        return min(1.0, max(0.0, (at - low) / (high - low or 1.0)))

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Round values within the axis, as they are shown."""
        for value in self._round():
            if self.low <= value <= self.high:
                yield value, f"{number(round(100 * value, 6))} %" if self.percent else _short(value)

    def _round(self) -> list[float]:
        if self.log:
            ends = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            tens = [10.0**power for power in range(ends[0], ends[1] + 1)]
            inner = (2, 5) if ends[1] - ends[0] <= 3 else ()
            return sorted({*tens, *(ten * times for ten in tens for times in inner)})
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4 or 1.0))
        step = next(step * times for times in (1, 2, 2.5, 5, 10) if (self.high - self.low) / (step * times) <= 5.5)
        first = math.ceil(self.low / step)
        return [round((first + i) * step, 12) for i in range(7)]


_UNITS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def _short(value: float) -> str:
    for size, unit in _UNITS:
        if abs(value) >= 10 * size or (abs(value) >= size and value % size == 0):
            return f"{number(round(value / size, 6))}{unit}"
    return number(value)


@dataclass(frozen=True)
class Frame:
    """A picture with two axes."""

    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        across, up = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        return _LEFT + self.x.share(x) * across, HEIGHT - _BOTTOM - self.y.share(y) * up

    def points(self, values: Iterable[tuple[float, float]]) -> str:
        """Points as an SVG attribute has them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*value) for value in values))

    def drawn(self, content: Markup, about: str) -> Markup:
        """The whole picture; `about` says what it shows to those who do not see it."""
        left, bottom, right = _LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT
        parts = []
        for value, text in self.x.ticks():
            x, _ = self.at(value, self.y.low)
            parts.append(tag("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid"))
            parts.append(tag("text", text, x=x, y=bottom + 15, text_anchor="middle", class_="dim"))
        for value, text in self.y.ticks():
            _, y = self.at(self.x.low, value)
            parts.append(tag("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(tag("text", text, x=left - 6, y=y + 4, text_anchor="end", class_="dim"))
        parts.append(tag("path", d=f"M{left} {_TOP}V{bottom}H{right}", class_="axis"))
        middle = (left + right) / 2
        parts.append(tag("text", self.x.label, x=middle, y=HEIGHT - 6, text_anchor="middle"))
        turned = f"rotate(-90 11 {(bottom + _TOP) / 2:.0f})"
        parts.append(tag("text", self.y.label, x=11, y=(bottom + _TOP) / 2, text_anchor="middle", transform=turned))
        return picture(joined(*parts, content), WIDTH, HEIGHT, about)


def picture(content: Markup, width: float, height: float, about: str, *, wide: bool = False) -> Markup:
    """An SVG image; a `wide` one keeps its size, others fit into the page."""
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}"}
    box = f"0 0 {width:.0f} {height:.0f}"
    return tag("svg", content, viewBox=box, role="img", aria_label=about, class_="wide" if wide else None, **size)
