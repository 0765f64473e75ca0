"""Folder: a search on disk. `manifest.json` says what it is, `items.jsonl` has every graded answer, `leaderboard.json`
all trials, `summary.json` how it ended, `best.yaml` and `front/` the found specs, `study.log` the trials for Optuna's
tools, `confirm/` the runs on held-out items."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from archc import api, errors
from archc.bench.folder import write_json
from archc.diagnostics import RunError, SpecError
from archc.runtime.batch import Output
from archc.searching.leaderboard import estimate, front, ranked
from archc.searching.order import Order, digest
from archc.searching.trial import Trial
from archc.spec.space.hole import value_text

MANIFEST: Final = "manifest.json"
ITEMS: Final = "items.jsonl"
LEADERBOARD: Final = "leaderboard.json"
SUMMARY: Final = "summary.json"
BEST: Final = "best.yaml"
FRONT: Final = "front"
CONFIRM: Final = "confirm"
STUDY: Final = "study.log"
REPORT: Final = "report.html"


class Folder:
    """The folder of one search, open for writing."""

    def __init__(self, order: Order) -> None:
        """Begins it, or goes on with the same search. Raises SpecError if another one began it or is at it."""
        self._order = order
        self._manifest = order.manifest()
        self.path = order.folder
        kept = json.loads(json.dumps(order.kept()))
        before = manifest_of(self.path) if (self.path / MANIFEST).exists() else None
        if before is not None:
            differs = next((key for key, value in kept.items() if before.get(key) != value), None)
            if differs:
                raise SpecError(errors.ForeignSearch(path=str(self.path), differs=f"`{differs}`"))
        self.id: str = before["id"] if before else secrets.token_hex(8)
        """What the names of its runs in the journal begin with."""
        self.seconds: float = before["seconds"] if before else 0.0
        """How long earlier starts took."""
        self.output = Output(self.path / ITEMS, digest(json.dumps(kept, sort_keys=True))[:16], is_synced=False)
        self.stamp(0.0)

    def stamp(self, seconds: float) -> None:
        """Writes the manifest, with how long this start has taken so far. Raises RunError."""
        write_json(self.path / MANIFEST, {"id": self.id, "seconds": self.seconds + seconds, **self._manifest})

    def trials(self, trials: Sequence[Trial]) -> None:
        """Writes all trials: the ranked first, then the others as they came. Raises RunError."""
        aim = self._order.aim
        best = ranked(trials, aim)
        rest = [trial for trial in trials if trial not in best]
        write_json(
            self.path / LEADERBOARD,
            {
                "goals": [{"text": goal.text, "sign": goal.sign} for goal in aim.goals],
                "ranked": len(best),
                "trials": [self._row(trial, best[0] if best else None) for trial in [*best, *rest]],
            },
        )

    def _row(self, trial: Trial, leader: Trial | None) -> dict[str, Any]:
        aim = self._order.aim
        known = estimate(trial, leader, aim, len(self._order.split[0])) if trial.records else ()
        signs = [goal.sign for goal in aim.goals]
        return {**trial.as_json(aim), "estimate": [sign * value for sign, value in zip(signs, known, strict=False)]}

    def specs(self, trials: Sequence[Trial], best: Trial | None, said: Sequence[str]) -> None:
        """Writes the best architecture, and those of the front where there are several goals, as closed specs."""
        if best:
            self._spec(best, self.path / BEST, said)
        if len(self._order.aim.goals) > 1:
            for place, trial in enumerate(front(trials, self._order.aim), 1):
                self._spec(trial, self.path / FRONT / f"{place:02}-trial-{trial.number}.yaml", ())

    def _spec(self, trial: Trial, path: Path, said: Sequence[str]) -> None:
        order = self._order
        path.parent.mkdir(parents=True, exist_ok=True)
        text = api.closed_text(
            order.source, overrides=order.overrides, choices={**order.choices, **trial.point}, folder=path.parent
        )
        measured = trial.figures()
        head = [
            f"Found by `archc search {order.source.name}` (archc {order.version}), search {self.id}, "
            f"trial {trial.number} of {order.sampler}.",
            f"On {trial.items} items of {order.task.name} that the search saw: {order.aim.told(measured)}; "
            f"{measured['calls']:.1f} calls, {measured['tokens']:,.0f} tokens an item.",
            *said,
            *(f"{path} = {value_text(value)}" for path, value in trial.point.items()),
        ]
        try:
            path.write_text("".join(f"# {line}\n" for line in map(_one_line, head)) + "\n" + text, encoding="utf-8")
        except OSError as error:
            raise RunError(errors.NotWritable(path=str(path), problem=error.strerror or str(error))) from None

    def close(self) -> None:
        """Lets others write into it."""
        self.output.close()


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def manifest_of(path: Path) -> Mapping[str, Any]:
    """What a folder's search is. Raises SpecError if it holds none."""
    return _read(path, MANIFEST, ("id", "seconds", "sampler", "asked"))


def leaderboard_of(path: Path) -> Mapping[str, Any]:
    """The trials of a folder's search. Raises SpecError if it has none yet."""
    return _read(path, LEADERBOARD, ("goals", "ranked", "trials"))


def _read(path: Path, name: str, keys: Sequence[str]) -> Mapping[str, Any]:
    try:
        content = json.loads((path / name).read_text(encoding="utf-8"))
        if all(key in content for key in keys):
            return dict(content)
    except OSError:
        raise SpecError(errors.NotASearch(path=str(path), problem=f"there is no {name}")) from None
    except (ValueError, TypeError, RecursionError):
        pass
    raise SpecError(errors.NotASearch(path=str(path), problem=f"{name} is not as it was written"))
