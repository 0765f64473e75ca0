"""What the openai backend refuses before any call, and what it costs to have it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from archc.backends.openai import OpenAI

BAD_URLS = [
    "ftp://h/v1",
    "h:80",
    "http://",
    "http://user:pw@h/v1",
    "http://h/v1?x=1",
    "http://h/v1#x",
    "http://h\\@evil/v1",
    "http://h/\x00",
    "http://h:99999/",
    "http://h é/",
    "http://[::1",
    "http://[fe80::1%25eth0]/",
    "http://a..b/",
]


@pytest.mark.parametrize("options", [*({"base_url": url} for url in BAD_URLS), {"base_url": []}])
def test_options_refuse_addresses_that_two_parsers_could_read_differently(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAI.Options(**options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": None},
        {"first_byte_timeout": -1},
        {"idle_timeout": 0},
        {"extra_body": {"n": 4}},
        {"url": "x"},
        {"verify": False},
        {"headers": {}},
    ],
)
def test_options_refuse_what_would_break_the_contract(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAI.Options(base_url="http://h/v1", **wrong)


def test_the_fingerprint_tells_apart_what_answers_differently() -> None:
    def fingerprint(**options: Any) -> str:
        return OpenAI("small", OpenAI.Options(**{"base_url": "http://h/v1", **options}), lambda *_: None).fingerprint

    plain = fingerprint()
    assert plain == 'openai:small@http://h/v1 {"extra_body":{},"schema_field":"response_format"}'
    assert fingerprint(base_url=["HTTP://H:80/v1/", "http://i/v1"], timeout=3, idle_timeout=None) == plain
    assert fingerprint(extra_body={"b": 1, "a": 2}) == fingerprint(extra_body={"a": 2, "b": 1}) != plain
