"""Gym: the families of reasoning-gym as tasks, whose items are made by seed and never run out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from archc import errors
from archc.bench.reasoning import ONE_ANSWER, SOLVED
from archc.bench.task import Task
from archc.diagnostics import SpecError, did_you_mean

PREFIX: Final = "reasoning-gym:"
SIZE: Final = 1000
"""Items of a family; another seed has others."""
_PROMPT: Final = "{question}\n\nThink step by step. End with the answer between tags: <answer>…</answer>"


def gym_task(name: str) -> Task:
    """The task `reasoning-gym:FAMILY` or `reasoning-gym:FAMILY:SEED`; the seed is 0 without it."""
    family, _, seed = name.removeprefix(PREFIX).partition(":")
    if not seed.isdecimal() and seed:
        raise SpecError(errors.UnknownTask(task=name, hint="a family's seed is a whole number"))
    return Task(
        name=name,
        about=f"the family {family} of reasoning-gym",
        slices={"made": name},
        family=family,
        seed=int(seed or 0),
        prompt=_PROMPT,
        extract={"kind": "regex", "pattern": r"(?s)<answer>(.*?)</answer>"},
        grader="reasoning",
        licence="Apache-2.0",
        source="open-thought/reasoning-gym",
        noise="no wrong labels: the items are made",
    )


def made(task: Task) -> list[Mapping[str, Any]]:
    """The items of a family, the same each time.

    Raises SpecError if the package is not installed, or has no such family, or one whose answers it would have to run.
    """
    try:
        import reasoning_gym
    except ImportError:
        feature = f"the task `{task.name}`"
        raise SpecError(errors.MissingExtra(feature=feature, module="reasoning-gym", extra="gym")) from None
    families = sorted(reasoning_gym.factory.DATASETS)
    if task.family not in families:
        raise SpecError(errors.UnknownTask(task=task.name, hint=did_you_mean(task.family, families)))
    dataset = reasoning_gym.create_dataset(task.family, size=SIZE, seed=task.seed)
    scores_by_itself = "score_answer" in vars(type(dataset))
    if scores_by_itself and task.family not in SOLVED and task.family not in ONE_ANSWER:
        hint = "reasoning-gym grades it by code of its own, which archc does not run on what models write"
        raise SpecError(errors.UnknownTask(task=task.name, hint=hint))
    records: list[Mapping[str, Any]] = []
    for number in range(SIZE):
        entry = dataset[number]
        meta = {"family": task.family, "entry": json.loads(json.dumps(entry["metadata"], default=str))}
        records.append(
            {"id": f"{task.family}/{number}", "question": entry["question"], "answer": entry["answer"], "meta": meta}
        )
    return records
