"""Places: offsets as the lines and columns that editors count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.editor.places import Places


def test_columns_count_units_of_the_encoding() -> None:
    text = "a𝔸é\r\nb\u2028c\rd\n"
    at = [text.index(char) for char in "abcd"] + [text.index("é"), len(text)]

    assert [Places(text).position(o) for o in at] == [(0, 0), (1, 0), (1, 2), (2, 0), (0, 3), (3, 0)]
    assert [Places(text, "utf-8").position(o) for o in at] == [(0, 0), (1, 0), (1, 4), (2, 0), (0, 5), (3, 0)]
    assert [Places(text, "utf-32").position(o) for o in at] == [(0, 0), (1, 0), (1, 2), (2, 0), (0, 2), (3, 0)]


def test_places_that_are_none_are_the_nearest() -> None:
    places = Places("ab\n𝔸")

    assert [places.offset(*p) for p in [(0, 9), (9, 0), (-1, 0), (1, 1), (1, 2), (0, -1)]] == [2, 4, 0, 3, 4, 0]


@given(st.text(st.sampled_from("a𝔸é\n\r\u2028"), max_size=12), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_every_offset_is_found_again(text: str, encoding: str) -> None:
    places = Places(text, encoding)
    inner = [o for o in range(len(text) + 1) if text[o - 1 : o + 1] != "\r\n"]

    assert [places.offset(*places.position(o)) for o in inner] == inner


@pytest.mark.parametrize("line", [-1, 0, 1, 99])
@pytest.mark.parametrize("column", [-1, 0, 1, 2, 99])
def test_no_place_makes_it_fail(line: int, column: int) -> None:
    assert 0 <= Places("\ud800𝔸\r\n\n").offset(line, column) <= 5
