"""What running untrusted code may cost, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "error", "timeout", "killed"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one test may use. What is over it is ended."""

    seconds: float = 5.0
    """Wall-clock time, from when the program is there."""
    memory: int = 1 << 30
    """Address space of each process, in bytes."""
    output: int = 1 << 16
    """What it prints, in bytes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program or a test."""

    status: Status
    """`failed`: an assertion did not hold; `error`: something else was raised; `killed`: it ended in its own way."""
    message: str = ""
    """Why it did not pass, in one line."""
    seconds: float = 0.0
    """Wall-clock time."""
    stdout: str = ""
    """What a program printed."""

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return self.status == "passed"
