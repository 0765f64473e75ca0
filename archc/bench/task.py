"""Task: what is asked, where the questions lie, and how answers are found and graded. One small YAML file each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archc import errors
from archc.bench.graders import Grader
from archc.diagnostics import SpecError, did_you_mean
from archc.ops.extract import Extract

BUILT_IN: Final = Path(__file__).parent / "tasks"
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NO_PARTS: Final[Mapping[str, str]] = MappingProxyType({})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Keys(_Part):
    """Which keys of a record hold what; `meta.aliases` is a key within a key."""

    question: str = "question"
    answer: str = "answer"
    """A text or a number, or a list of those that are right."""
    aliases: str = ""
    """More right answers."""
    id: str = "id"
    choices: str = ""
    """A list of texts, which get letters."""
    passages: str = ""
    """A list of texts, or of objects with `title` and `text`."""
    tests: str = "tests"
    """Tests of a program: one text, or a list."""
    entry: str = "meta.entry_point"
    """The function that a program must have."""
    imports: str = "meta.imports"
    """What tests import."""
    inputs: str = "inputs"
    """A list of what a program reads."""
    database: str = "db_id"
    """The name of a database."""
    gains: str = "qrels"
    """What each passage is worth by its `docid`."""
    outputs: str = "outputs"
    """A list of what it should print then."""


class Hub(_Part):
    """Where the Hugging Face hub has the data."""

    path: str
    name: str = ""
    splits: dict[str, str]
    """Its splits by our slices."""
    keys: dict[str, str]
    """Its columns by our keys."""
    revision: str = ""


class Task(_Part):
    """A task. Its `prompt` has `{question}` in it, `{choices}`, `{passages}` and its `parts` where there are such."""

    name: str
    about: str = ""
    """One line for people."""
    slices: dict[str, str] = Field(min_length=1)
    """Paths of JSONL files by name of the slice, within the folder of the data or beside the task; the first is meant
    where none is named."""
    hub: Hub | None = None
    """Where the data is fetched from if the files are not there."""
    family: str = ""
    """A family of reasoning-gym, whose items are made."""
    seed: int = 0
    keys: Keys = Keys()
    parts: dict[str, str] = {}
    """What else the prompt has from a record: the key of each by its name in the prompt."""
    prompt: str = "{question}"
    system: str = ""
    extract: dict[str, Any] = {}
    """Parameters of `extract`, for runs that don't extract an answer themselves. Without it, the whole text counts."""
    gold: dict[str, Any] = {}
    """The same for the right answer, where it is written out."""
    databases: str = ""
    """The path of a database, with `{database}` for its name; then `{schema}` in the prompt stands for its tables."""
    schemas: str = ""
    """A JSONL file with `schema` by `id`, where the tables are not told as the databases have them."""
    grader: Grader
    seconds: float = Field(5.0, gt=0, le=600)
    """The most that one test of a program, or one query, may take."""
    metrics: list[str] = []
    """What a run comes to beside accuracy: names of what the grader counts."""
    licence: str = ""
    source: str = ""
    noise: str = ""
    """What is known to be wrong with the labels."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Task:
        if "{question}" not in self.prompt:
            raise ValueError("`prompt` has no {question} in it")
        for params in (self.extract, self.gold):
            if params:
                Extract(**params)
        return self

    @cached_property
    def extraction(self) -> Extract | None:
        """How answers are found in texts."""
        return Extract(**self.extract) if self.extract else None

    @cached_property
    def gold_extraction(self) -> Extract | None:
        """How the right answer is found in what the data has."""
        return Extract(**self.gold) if self.gold else None

    def found(self, text: str) -> str:
        """The answer within a text; the text itself, without blanks around it, where there is none.

        A task that looks for nothing takes it with its blanks: it may be a program's.
        """
        if self.extraction is None:
            return text
        answer = self.extraction.answer(text)
        return answer.text if answer else text.strip()

    def asked(
        self,
        question: str,
        choices: tuple[str, ...] = (),
        passages: tuple[str, ...] = (),
        parts: Mapping[str, str] = NO_PARTS,
    ) -> str:
        """The prompt for one question."""
        listed = "\n".join(f"({letter}) {text}" for letter, text in zip(LETTERS, choices, strict=False))
        known = {"question": question, "choices": listed, "passages": "\n\n".join(passages), **parts}
        braced = {f"{{{name}}}": part for name, part in known.items()}
        text = self.prompt
        pieces = []
        while text:  # not `replace` one after the other: a question may have {choices} in it
            at, name = min(((text.find(name), name) for name in braced if name in text), default=(len(text), ""))
            pieces += [text[:at], braced.get(name, "")]
            text = text[at + len(name) :]
        return "".join(pieces).strip()


def names() -> list[str]:
    """The built-in tasks."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def built_in(name: str) -> Task:
    """A built-in task by name. Raises SpecError if there is none."""
    if name not in names():
        raise SpecError(errors.UnknownTask(task=name, hint=did_you_mean(name, names())))
    return read_task(BUILT_IN / f"{name}.yaml")


def read_task(path: Path) -> Task:
    """The task that a YAML file describes. Raises SpecError."""
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(errors.NoSuchFile(path=str(path), problem=str(error))) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise SpecError(errors.BadTask(path=str(path), problem="it is not YAML")) from None
    if not isinstance(record, Mapping):
        raise SpecError(errors.BadTask(path=str(path), problem="it is not a mapping"))
    try:
        return Task.model_validate({"name": path.stem, **record})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        raise SpecError(errors.BadTask(path=str(path), problem=problem)) from None
