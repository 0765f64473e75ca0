"""Gaussian: what to expect of every candidate, from noisy measurements of some of them (a Gaussian process).

Measured points are candidates too, so the Cholesky factor grows by a row for each measurement, and with it, in one
product, what it says of all candidates: no system of equations is ever solved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Habits:
    """How a function behaves: how fast it changes along each feature, and how noisy its measurements are."""

    scales: tuple[float, ...]
    """By group of features: the inverse of the distance over which it changes."""
    noise: float
    """The variance of a measurement of the usual size, as a share of the function's own."""


class Gaussian:
    """The posterior over candidates."""

    def __init__(self, places: Array, columns: Sequence[slice], habits: Habits) -> None:
        self._noise = habits.noise
        self._places = scaled(places, columns, habits.scales)
        self._squares = np.einsum("ij,ij->i", self._places, self._places)
        count = len(places)
        self._rows = np.empty((16, count))
        self._told = np.empty(16)
        self._ones = np.empty(16)
        self._left = np.ones(count)
        self._size = 0

    def add(self, at: int, value: float, weight: float = 1.0) -> None:
        """Takes a measurement of a candidate; `weight` is its size as a share of the usual."""
        n = self._size
        if n == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._told = np.concatenate([self._told, np.empty_like(self._told)])
            self._ones = np.concatenate([self._ones, np.empty_like(self._ones)])
        before = self._rows[:n, at].copy()
        pivot = math.sqrt(max(self._left[at], 0.0) + self._noise / weight + _JITTER)
        self._rows[n] = (self._near(at) - before @ self._rows[:n]) / pivot
        self._told[n] = (value - before @ self._told[:n]) / pivot
        self._ones[n] = (1.0 - before @ self._ones[:n]) / pivot
        self._left -= self._rows[n] ** 2
        self._size = n + 1

    def mark(self) -> tuple[int, Array]:
        """What `back` needs to forget the measurements that are added from now on."""
        return self._size, self._left.copy()

    def back(self, mark: tuple[int, Array]) -> None:
        """Forgets what was added since."""
        self._size, self._left = mark

    def expect(self) -> tuple[Array, Array]:
        """The mean and the standard deviation of every candidate's true value."""
        rows, told, ones = self._rows[: self._size], self._told[: self._size], self._ones[: self._size]
        mean = float(ones @ told) / float(ones @ ones)
        rest = told - mean * ones
        scale = max(float(rest @ rest) / len(rest), _LEAST)
        return mean + rest @ rows, np.sqrt(scale * np.maximum(self._left, _LEAST))

    def _near(self, at: int) -> Array:
        here = self._places[at]
        squares = self._squares + self._squares[at] - 2.0 * (self._places @ here)
        return matern(squares)


_JITTER = 1e-8
_LEAST = 1e-12


def scaled(places: Array, columns: Sequence[slice], scales: Sequence[float]) -> Array:
    """The features, each group stretched by its scale."""
    made = places.copy()
    for group, scale in zip(columns, scales, strict=True):
        made[:, group] *= scale
    return made


def matern(squares: Array) -> Array:
    """The Matérn 5/2 correlation at squared distances."""
    far = np.sqrt(5.0 * np.maximum(squares, 0.0))
    correlation: Array = (1.0 + far + far * far / 3.0) * np.exp(-far)
    return correlation


def learned(places: Array, columns: Sequence[slice], values: Array, weights: Array, is_alike: bool = False) -> Habits:
    """The most probable habits of a function, by measurements of it: a search by coordinates from one fixed start.

    `is_alike` gives all groups one scale.
    """
    if len(values) > _MOST_LEARNED_FROM:
        kept = np.linspace(0, len(values) - 1, _MOST_LEARNED_FROM).astype(int)
        places, values, weights = places[kept], values[kept], weights[kept]
    apart = np.stack([_squares(places[:, group]) for group in columns])
    usual = -math.log(_USUAL * math.sqrt(len(columns)))
    logs = np.array([usual] * (1 if is_alike else len(columns)) + [math.log(_NOISE)])
    prior = np.array([usual] * (len(logs) - 1) + [math.log(_NOISE)])

    def cost(at: Array) -> float:
        scales = np.broadcast_to(np.exp(2.0 * at[:-1]), len(columns))
        matrix = matern(np.tensordot(scales, apart, 1)) + np.diag(math.exp(at[-1]) / weights + _JITTER)
        try:
            factor = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return math.inf
        told, ones = np.linalg.solve(factor, np.stack([values, np.ones_like(values)], 1)).T
        rest = told - (ones @ told) / (ones @ ones) * ones
        scale = max(float(rest @ rest) / len(rest), _LEAST)
        fit = 0.5 * len(values) * math.log(scale) + float(np.log(np.diag(factor)).sum())
        return fit + 0.5 * float((((at - prior) / _PRIOR_WIDTH) ** 2).sum())

    best = cost(logs)
    for step in (1.0, 1.0, 0.5, 0.25):
        for i in range(len(logs)):
            for way in (step, -step):
                tried = logs.copy()
                tried[i] += way
                if (found := cost(tried)) < best:
                    best, logs = found, tried
                    break
    scales = np.broadcast_to(np.exp(logs[:-1]), len(columns))
    return Habits(tuple(map(float, scales)), math.exp(logs[-1]))


_MOST_LEARNED_FROM = 150
_USUAL = 0.5
_NOISE = 0.3
_PRIOR_WIDTH = 1.0


def _squares(places: Array) -> Array:
    apart = places[:, None, :] - places[None, :, :]
    squares: Array = np.einsum("ijk,ijk->ij", apart, apart)
    return squares
