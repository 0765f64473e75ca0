"""A vocabulary as the ops of archc give one."""

from __future__ import annotations

MAIN = {
    "extract": "kind",
    "select": "by",
    "vote": "by",
    "until": "condition",
    "race": "condition",
    "deadline": "seconds",
    "repeat": "times",
    "cascade": "models",
    "fold": "window",
    "use": "spec",
}
CONDITIONS = {"when": "condition", "until": "condition", "race": "condition", "repeat": "until", "cascade": "until"}


class Words:
    """What the surface forms must know of ops."""

    def main(self, op: str) -> str:
        return MAIN.get(op, "model")

    def regions(self, op: str) -> tuple[str, ...]:
        return {"when": ("then", "else"), "race": ()}.get(op, ("do",))

    def region_lists(self, op: str) -> tuple[str, ...]:
        return ("branches",) if op in ("race", "tournament") else ()

    def conditions(self, op: str) -> tuple[str, ...]:
        return (CONDITIONS[op],) if op in CONDITIONS else ()
