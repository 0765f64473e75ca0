"""How many calls a search buys, beside those that all of its architectures would take in full.

python -m benchmarks.bank [--items N] [--trials N] [--seeds N]

`search/small-models.arch` with simulated models, a fifth of the items for the search, all else as `archc search` does
by itself. Three counts: what was bought, what the answers would have cost without the sample bank, and what all
architectures on all items of the search would have cost without races, too.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path

import archc

SPACE = Path(__file__).parent.parent / "search" / "small-models.arch"
WORLD = {"a": "skill=0.45, judgement=0.65", "b": "skill=0.4, judgement=0.6"}


def space(answers: dict[str, str]) -> archc.Source:
    """The space with models that know the answers, as often as their skill says."""
    text = SPACE.read_text(encoding="utf-8")
    for name, figures in WORLD.items():
        model = f'model {name} = simulated("{name}", {figures}, wrong_answers=2, answers={json.dumps(answers)})\n'
        text, found = re.subn(rf"model {name} = openai\([^)]*\)\n", lambda _, model=model: model, text)
        assert found == 1, f"{SPACE} has another model {name}"
    return archc.Source(SPACE.name, text)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--items", type=int, default=1319, help="as many as GSM8K has")
    reader.add_argument("--trials", type=int, default=60)
    reader.add_argument("--seeds", type=int, default=1)
    given = reader.parse_args()
    answers = {f"What is {i} and {7 * i % 13}?": str(i + 7 * i % 13) for i in range(given.items)}
    print("| seed | bought | in answers | in full | fewer than in full |\n|---|---|---|---|---|")
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            lines = (json.dumps({"question": q, "answer": a}) + "\n" for q, a in answers.items())
            (here / "q.jsonl").write_text("".join(lines), encoding="utf-8")
            found = archc.search_sync(
                space(answers),
                task=str(here / "q.jsonl"),
                trials=given.trials,
                budget={"calls": 100_000_000},
                confirm=0,
                seed=seed,
                run=here / "found",
                journal=here / "journal",
            )
        counts = found.summary["search"]
        calls, answered, whole = (counts[name] for name in ("calls", "calls_of_answers", "calls_in_full"))
        print(f"| {seed} | {calls:,} | {answered:,} | {whole:,} | {whole / calls:.1f} times |", flush=True)


if __name__ == "__main__":
    main()
