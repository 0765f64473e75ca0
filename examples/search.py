"""Searches for the best architecture for questions of one's own, and runs what was found.

    python examples/search.py

It plays in a simulated world, so it costs nothing; put a server's `models` into the spec for real ones.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import archc

QUESTIONS = {f"How many are {i} and {i + 3} together?": str(2 * i + 3) for i in range(60)}
ASKED = "\n\nThink step by step. End with: The answer is N."
"""What a task with numbers adds to its questions."""


def space() -> str:
    """A spec with choices: which model, how many answers, and whether they are verified before the vote."""
    known = json.dumps({question + ASKED: answer for question, answer in QUESTIONS.items()})
    return f"""
    model small = simulated("small", skill=0.4, answers={known})
    model large = simulated("large", skill=0.7, answers={known})
    generate({{small | large}}, n={{1 | 3 | 9}}) -> verify(large)? -> extract(number) -> vote
    """


def main() -> None:
    """Searches, and asks the winner one question."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        lines = [json.dumps({"question": q, "answer": a}) + "\n" for q, a in QUESTIONS.items()]
        (here / "questions.jsonl").write_text("".join(lines))
        found = archc.search_sync(
            archc.Source("space.arch", space()),
            task=str(here / "questions.jsonl"),
            subject_to=["calls <= 12"],
            budget={"calls": 5000},
            run=here / "found",
            journal=here / "journal.sqlite",
        )
        print("\n".join(found.summary["said"]))
        print((here / "found" / "best.yaml").read_text().partition("\n\n")[0])
        question = next(iter(QUESTIONS))
        print(question, archc.run_sync(archc.compile(here / "found" / "best.yaml"), question + ASKED).answer)


if __name__ == "__main__":
    main()
