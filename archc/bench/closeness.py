"""Whether two results are equal as EvalPlus has it. Its text is given to tests, so it imports nothing of archc."""

from __future__ import annotations

import math
from typing import Any


def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08) -> bool:
    """What numpy's function of this name says of numbers and of lists of them, in which one number is like many."""
    lists = [isinstance(one, (list, tuple, range)) for one in (a, b)]
    if any(lists):
        many = len(a if lists[0] else b)
        ours, theirs = (list(one) if is_list else [one] * many for one, is_list in zip((a, b), lists, strict=True))
        if len(ours) != len(theirs):
            raise ValueError("operands could not be broadcast together")
        return all(allclose(x, y, rtol, atol) for x, y in zip(ours, theirs, strict=True))
    if not all(isinstance(one, (int, float, complex)) for one in (a, b)):
        raise TypeError("neither a number nor a list of numbers")
    return a == b or (math.isfinite(abs(a)) and math.isfinite(abs(b)) and abs(a - b) <= atol + rtol * abs(b))


def is_floats(value: Any) -> bool:
    """Whether it is a float or a list of floats."""
    return isinstance(value, float) or (
        isinstance(value, (list, tuple)) and all(isinstance(one, float) for one in value)
    )


def is_same(out: Any, expected: Any, atol: float) -> bool:
    """Whether a result is what was expected; floats need only be near."""
    atol = 1e-6 if atol == 0 and is_floats(expected) else atol
    if out == expected or atol == 0:
        return bool(out == expected)
    if type(out) is not type(expected) or (isinstance(out, (list, tuple)) and len(out) != len(expected)):
        return False
    return allclose(out, expected, 1e-07, atol)
