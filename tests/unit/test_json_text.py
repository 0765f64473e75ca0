"""The JSON reader: the same values as `json`, each with its place, and nothing but diagnostics."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.foreign.json_text import read_json
from archc.spec.located import Table, plain

NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=8).filter(str.isprintable)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_it_reads_what_json_writes(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert plain(read_json(Source("x", text))) == value


@given(st.text('{}[]",:0123456789.eE+-truefalsn \\u\n', max_size=40))
def test_it_takes_what_json_takes_and_tells_all_else(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    except (ValueError, pytest.fail.Exception):
        with pytest.raises(SpecError):
            read_json(Source("x", text))
        return
    with suppress(SpecError):  # stricter: keys once, numbers of a sensible size
        assert plain(read_json(Source("x", text))) == expected


def test_places() -> None:
    text = '{"a": [1, "zwei"],\n "b": {"c": null}}'
    root = read_json(Source("x", text))
    assert isinstance(root, Table)
    [a, b] = root.entries

    assert (a.key_span.text, a.value.span.text) == ('"a"', '[1, "zwei"]')
    assert (str(b.key_span), b.value.span.text) == ("x:2:2", '{"c": null}')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "x:1:1: error[not-json]: this is not valid JSON: it ends where a value should stand"),
        ("{", "x:1:1: error[not-json]: this is not valid JSON: a key in double quotes should stand here"),
        ("[1, 2", "x:1:1: error[not-json]: this is not valid JSON: this bracket is not closed"),
        ("[1,]", "x:1:4: error[not-json]: this is not valid JSON: nothing stands between the `,` and this `]`"),
        ("[1 2]", "x:1:4: error[not-json]: this is not valid JSON: a `,` or `]` should stand here"),
        ('{"a" 1}', "x:1:6: error[not-json]: this is not valid JSON: a `:` should follow the key"),
        ('{"a": 1, "a": 2}', "x:1:10: error[duplicate-key]: the key `a` is written twice"),
        ("[nul]", "x:1:2: error[not-json]: this is not valid JSON: no value begins like this"),
        ("[NaN]", "x:1:2: error[not-json]: this is not valid JSON: no value begins like this"),
        ('["a]', "x:1:2: error[not-json]: this is not valid JSON: this string is not closed on its line"),
        (r'["\x"]', "x:1:2: error[not-json]: this is not valid JSON: a `\\` in this string begins no escape"),
        (r'["\ud83d"]', "x:1:2: error[not-json]: this is not valid JSON: an escape in this string is half a character"),
        ("[1e999]", "x:1:2: error[not-json]: this is not valid JSON: this number is too long or too large"),
        ("1 2", "x:1:3: error[not-json]: this is not valid JSON: more text follows the value"),
        ("[" * 40, "x:1:34: error[too-large]: there are more than 32 levels of nesting"),
    ],
)
def test_mistakes_are_told_where_they_are(text: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_json(Source("x", text))

    assert [repr(d) for d in caught.value.diagnostics] == [told]
