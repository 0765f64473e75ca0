"""Asked: a search as people ask for it, by options; what is not said, the spec says under `search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from archc import api, errors
from archc.bench.data import Selection, load, task_of
from archc.bench.judging import judge_for
from archc.diagnostics import SpecError
from archc.searching.folder import leaderboard_of, manifest_of
from archc.searching.objective import aim_of
from archc.searching.order import Order
from archc.searching.samplers import DEFAULT
from archc.source import Source
from archc.spec.model import Budget
from archc.spec.space.hole import Value
from archc.spec.space.points import Point

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Asked(BaseModel):
    """The options of a search; each may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    task: str = ""
    """A built-in task, a task's YAML file, or JSONL with questions."""
    run: Path | None = None
    """The folder of the search; `runs/SPACE-TASK` without it."""
    maximise: tuple[str, ...] = ()
    minimise: tuple[str, ...] = ()
    subject_to: tuple[str, ...] = ()
    budget: Budget | None = None
    trials: Count | None = None
    sampler: str = ""
    top: Count = 3
    confirm: Annotated[int, Field(ge=0)] | None = None
    share: Share = 0.2
    reserve: Annotated[float, Field(ge=0, lt=1)] = 0.4
    first: Count = 6
    eta: Annotated[float, Field(ge=1)] = 3.0
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.05
    abreast: Count = 4
    warm: Path | None = None
    """The folder of a search whose best points are tried first."""
    adviser: str = ""
    judge: str = ""
    """Who compares answers where the task wants that: a model's entry, as in specs."""
    versus: Path | None = None
    """Answers to compare with: a run of the same task, or JSONL with `id` and `answer`."""
    data: Path | None = None
    """Where the data of tasks lies."""
    slice: str = ""
    limit: Count | None = None
    parallel: Count = 32
    seed: Annotated[int, Field(ge=0)] = 0
    overrides: tuple[str, ...] = ()
    choices: dict[str, Value] = {}
    journal: Path | None = None


_AS_ASKED = (
    *("overrides", "choices", "seed", "abreast", "parallel", "share", "reserve"),
    *("first", "eta", "alpha", "top", "confirm", "adviser"),
)
"""What an order has under the same name."""


def ordered(source: Source, asked: Asked, version: str) -> tuple[Order, str]:
    """The order that is meant, and what was guessed of the task; `version` is of archc. Raises SpecError."""
    aims = api.aims(source)
    if not (name := asked.task or aims.task):
        raise SpecError(errors.NoTask())
    task, beside, said = task_of(name)
    selection = Selection(asked.slice, asked.seed if asked.limit else None, asked.limit)
    data = load(task, selection, beside or asked.data)
    goals = asked if asked.maximise or asked.minimise else aims
    as_asked: dict[str, Any] = {name: getattr(asked, name) for name in _AS_ASKED}
    order = Order(
        source=source,
        task=task,
        data=data,
        selection=selection,
        aim=aim_of(goals.maximise, goals.minimise, asked.subject_to or aims.subject_to),
        folder=asked.run or Path("runs") / f"{Path(source.name).stem}-{task.name}",
        journal=asked.journal or api.default_journal(),
        version=version,
        sampler=asked.sampler or aims.sampler or DEFAULT,
        budget=asked.budget or aims.budget,
        trials=asked.trials or aims.trials,
        judge=judge_for(task, data.items, asked.judge, asked.versus, asked.seed),
        start=(*aims.start, *(best_of(asked.warm) if asked.warm else ())),
        asked=asked.model_dump(mode="json", exclude_defaults=True),
        **as_asked,
    )
    return order, said


def resumed(folder: Path, more: Asked) -> tuple[Source, Asked]:
    """What the search in a folder was asked, with what is said anew. Raises SpecError if it holds none."""
    manifest = manifest_of(folder)
    source = Source(manifest["spec"]["name"], manifest["text"], manifest["form"])
    asked = Asked.model_validate(manifest["asked"])
    return source, asked.model_copy(update={**more.model_dump(exclude_defaults=True), "run": folder})


WARM = 8
"""How many points of another search are tried first."""


def best_of(folder: Path) -> list[Point]:
    """The best points of another search. Raises SpecError if the folder holds none."""
    manifest_of(folder)
    board = leaderboard_of(folder)
    return [trial["point"] for trial in board["trials"][: min(WARM, board["ranked"])]]
