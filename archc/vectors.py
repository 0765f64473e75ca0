"""Vectors: what an embedding model makes of a text; as text themselves, so that they are kept like every answer."""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from operator import mul


def packed(values: Iterable[float]) -> str:
    """The vector as text: 32-bit floats, little-endian, in base64. Raises OverflowError for what does not fit."""
    vector = array("f", values)
    if not all(map(math.isfinite, vector)):
        raise OverflowError("a number that is too large for 32 bits")
    if sys.byteorder == "big":
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode("ascii")


def unpacked(text: str) -> array[float]:
    """The vector of such a text. Raises ValueError if it is none, or has numbers that are no numbers."""
    vector = array("f")
    try:
        vector.frombytes(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ValueError(f"no vector: {error}") from None
    if sys.byteorder == "big":
        vector.byteswap()
    if not vector or not all(map(math.isfinite, vector)):
        raise ValueError("no vector: it is empty, or not finite")
    return vector


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors, from -1 to 1; 0 where one is all zeros or they differ in length."""
    if len(one) != len(other):
        return 0.0
    size = math.hypot(*one) * math.hypot(*other)
    return max(-1.0, min(1.0, sum(map(mul, one, other)) / size)) if size else 0.0
