"""HTML by construction: text becomes markup in one place only, so that no text of a model can."""

from __future__ import annotations

import html
import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no HTML text may hold, line breaks and tabs apart."""
_EMPTY: Final = {"meta", "input", "br"}


class Markup(str):
    """HTML that is safe to put into a page as it is: what `tag` has made."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """A text as HTML, also within an attribute; what cannot be shown becomes the replacement character."""
    return text if isinstance(text, Markup) else Markup(html.escape(_CONTROL.sub("�", text)))


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element; children that are no markup are text. `class_` is `class`, `stroke_width` is `stroke-width`.

    An attribute that is None is left out.
    """
    given = (
        (key.rstrip("_").replace("_", "-"), f"{value:.6g}" if isinstance(value, float) else str(value))
        for key, value in attributes.items()
        if value is not None
    )
    head = "".join(f' {key}="{escaped(value)}"' for key, value in given)
    if name in _EMPTY:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{''.join(map(escaped, children))}</{name}>")


def joined(*parts: str) -> Markup:
    """The parts, one after the other."""
    return Markup("".join(map(escaped, parts)))


def items(*entries: str) -> Markup:
    """A list."""
    return tag("ul", *(tag("li", entry) for entry in entries))


def table(caption: str, head: list[str], rows: list[list[str]], numbers_from: int = 1) -> Markup:
    """A table whose first column names the rows, and whose columns are numbers from one on."""

    def kind(column: int) -> str | None:
        return "num" if column >= numbers_from else None

    heads = [tag("th", text, scope="col", class_=kind(i)) for i, text in enumerate(head)]
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", t, class_=kind(i)) for i, t in enumerate(row[1:], 1)))
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return scrolled(whole, caption)


def scrolled(content: Markup, label: str) -> Markup:
    """What may be wider than the page: it scrolls by itself, by keyboard too."""
    return tag("div", content, class_="scroll", tabindex="0", role="group", aria_label=label)


def number(value: float) -> str:
    """A figure as people read it: 12,345, 3.4, 0.00012."""
    if value == 0 or abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}"


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, on one line."""
    flat = " ".join(text[: 4 * most].split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
