"""Regular expressions from a spec: refused if their search could take exponential time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants, _parser
from typing import Any

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def check_pattern(pattern: str) -> None:
    """Raises ValueError for a pattern that is not one, or whose search could take exponential time."""
    try:
        re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"`{pattern}` is not a regular expression: {error}") from None
    if _risky(tree, inside=False):
        raise ValueError(
            f"`{pattern}` has a repeat or an alternative inside a repeat, which can take forever on some texts; "
            "write it without, for example `[ab]+` instead of `(a|b)+`"
        )


def _risky(tree: Any, inside: bool) -> bool:
    for kind, details in tree:
        low, high = details[:2] if kind in _REPEATS else (1, 1)
        if inside and (low != high or kind is _constants.BRANCH):
            return True
        if any(_risky(part, inside or high > 1) for part in _parts(details)):
            return True
    return False


def _parts(details: Any) -> Iterator[Any]:
    """The parsed patterns within the details of one element."""
    if isinstance(details, _parser.SubPattern):
        yield details
    elif isinstance(details, (tuple, list)):
        for part in details:
            yield from _parts(part)
