"""Vocabulary: the little that the surface forms must know of ops in order to be read and written."""

from __future__ import annotations

from typing import Protocol


class Vocabulary(Protocol):
    """Answers for unknown ops, too."""

    def main(self, op: str) -> str:
        """The parameter that a bare first argument gives: `model` for most."""

    def regions(self, op: str) -> tuple[str, ...]:
        """The parameters that hold a pipeline."""

    def region_lists(self, op: str) -> tuple[str, ...]:
        """The parameters that hold a list of pipelines, side by side."""

    def conditions(self, op: str) -> tuple[str, ...]:
        """The parameters that hold a condition."""
