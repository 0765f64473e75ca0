"""Data: the records of a task, as items to ask and to grade."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

from archc import errors
from archc.bench.databases import database_path, schema_of
from archc.bench.graders import NEEDED, WITHOUT_ANSWER
from archc.bench.gym import PREFIX, gym_task, made
from archc.bench.hub import fetched
from archc.bench.instructions import mistake
from archc.bench.task import LETTERS, Keys, Task, built_in, read_task
from archc.calls import Message
from archc.diagnostics import SpecError, did_you_mean
from archc.runtime import batch

_SLICE: Final = re.compile(r"([^\[\]:]*)(?:\[(\d*):(\d*)\])?")


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its right answers."""

    id: str
    question: str
    """As it is asked."""
    golds: tuple[str, ...]
    choices: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """All that the data says of it."""
    database: Path | None = None
    """The file of the database that it is about."""
    turns: tuple[str, ...] = ()
    """What is asked after it, with the answers in view."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which items of a task: a slice, then in a random order, then the first few of them."""

    slice: str = ""
    """A name, a range such as `100:200`, or both: `test[100:200]`."""
    shuffle_seed: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """The items that a selection takes from a file."""

    items: tuple[Item, ...]
    path: Path
    digest: str
    """SHA-256 of the file's bytes."""
    of: int
    """How many items the file has."""


def load(task: Task, selection: Selection, folder: Path | None) -> Data:
    """The items of a task; `folder` is where the data lies. Raises SpecError if it is not there or is broken."""
    match = _SLICE.fullmatch(re.sub(r"^\d*:\d*$", r"[\g<0>]", selection.slice))
    name = match[1] if match else selection.slice
    if not match or (name and name not in task.slices):
        raise SpecError(errors.NoSuchSlice(task=task.name, slice=name, hint=did_you_mean(name, task.slices)))
    path, digest, records = _records(task, name or next(iter(task.slices)), folder)
    schemas = _schemas(task, folder)
    items = [_item(task, path, number, record, schemas, folder) for number, record in enumerate(records, 1)]
    _refuse_twins(path, items)
    whole = len(items)
    if match[2] or match[3]:
        items = items[int(match[2] or 0) : int(match[3]) if match[3] else None]
    if selection.shuffle_seed is not None:
        Random(selection.shuffle_seed).shuffle(items)
    return Data(tuple(items[: selection.limit]), path, digest, whole)


def _records(task: Task, slice: str, folder: Path | None) -> tuple[Path, str, list[Mapping[str, Any]]]:
    """Where a slice is from, what names its content, and its records: a file's, else the hub's, or made."""
    if task.family:
        return _digested(task.slices[slice], made(task))
    try:
        path = _path(task, task.slices[slice], folder)
    except SpecError:
        if (records := fetched(task, slice)) is None:
            raise
        assert task.hub
        return _digested(f"hf:{task.hub.path}/{slice}", records)
    content, records = records_of(path)
    return path, sha256(content).hexdigest(), records


def _digested(name: str, records: list[Mapping[str, Any]]) -> tuple[Path, str, list[Mapping[str, Any]]]:
    content = json.dumps(records, sort_keys=True).encode("utf-8", "backslashreplace")
    return Path(name), sha256(content).hexdigest(), records


def _refuse_twins(path: Path, items: Sequence[Item]) -> None:
    seen: set[str] = set()
    for number, item in enumerate(items, 1):
        if item.id in seen:
            raise SpecError(errors.BadInput(path=str(path), line=number, problem=f"id {item.id} again"))
        seen.add(item.id)


def _path(task: Task, name: str, folder: Path | None) -> Path:
    """The file, plain or compressed."""
    places = [Path(name)] if Path(name).is_absolute() or folder is None else [folder / name]
    places += [place.with_name(f"{place.name}.gz") for place in places]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        where = f"`{folder}`" if folder else "this folder"
        hint = "\nor fetch it from the Hugging Face hub: pip install 'archc[hub]'" if task.hub else ""
        raise SpecError(errors.NoTaskData(task=task.name, path=name, where=where, hint=hint))
    return found


def records_of(path: Path) -> tuple[bytes, list[Mapping[str, Any]]]:
    """A file's content and the records of its lines. Raises SpecError for the first line that is none."""
    try:
        content = path.read_bytes()
        plain = gzip.decompress(content) if path.suffix == ".gz" else content
        lines = plain.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SpecError(errors.NoSuchFile(path=str(path), problem=str(error))) from None
    records: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                problem = "it is not a JSON object"
                raise SpecError(errors.BadInput(path=str(path), line=number, problem=problem))
            records.append(record)
    return content, records


def _schemas(task: Task, folder: Path | None) -> Mapping[str, str]:
    """The tables of databases by their names, where a file tells them."""
    records = records_of(_path(task, task.schemas, folder))[1] if task.schemas else ()
    return {str(record.get("id")): str(record.get("schema")) for record in records}


def _item(
    task: Task,
    path: Path,
    number: int,
    record: Mapping[str, Any],
    schemas: Mapping[str, str],
    folder: Path | None,
) -> Item:
    keys = task.keys
    question, *turns = texts(at(record, keys.question)) or [""]
    choices = tuple(texts(at(record, keys.choices)))
    passages = texts(at(record, keys.passages))
    if task.grader == "ranking":
        passages = [f"[{number}] {text}" for number, text in enumerate(passages, 1)]
    golds = list(_golds(task, texts(at(record, keys.answer)), choices))
    if not question or not (golds or task.grader in WITHOUT_ANSWER):
        lacking = keys.answer if question else keys.question
        raise SpecError(errors.BadInput(path=str(path), line=number, problem=f"it has no `{lacking}`"))
    golds += [text for text in texts(at(record, keys.aliases)) if text not in golds]
    for key in (getattr(keys, name) for name in NEEDED.get(task.grader, ())):
        if not any(texts(at(record, key))):
            raise SpecError(errors.BadInput(path=str(path), line=number, problem=f"it has no `{key}`"))
    if task.grader == "instructions" and (problem := mistake(record)):
        raise SpecError(errors.BadInput(path=str(path), line=number, problem=problem))
    parts = {name: "\n".join(texts(at(record, key))) for name, key in task.parts.items()}
    database = None
    if task.databases:
        name = str(at(record, keys.database))
        database = database_path(task.databases, name, folder)
        if database is None or not database.is_file():
            where = f"`{folder}`" if folder else "this folder"
            raise SpecError(errors.NoTaskData(task=task.name, path=f"{database or name}", where=where))
        parts["schema"] = schemas.get(name) or schema_of(database)
    asked = task.asked(question, choices, tuple(passages), parts)
    return Item(str(record.get(keys.id, number)), asked, tuple(golds), choices, record, database, tuple(turns))


def _golds(task: Task, answers: Sequence[str], choices: Sequence[str]) -> Iterator[str]:
    """The right answers in the form in which the grader wants them: letters for choices."""
    for text in answers:
        if task.grader == "choice" and choices:
            yield _letter(text.strip(), choices)
        else:
            found = task.gold_extraction.answer(text) if task.gold_extraction else None
            yield found.text if found else text


def _letter(text: str, choices: Sequence[str]) -> str:
    """The letter of a right choice that is told by its letter, its text, or its place from 0."""
    if text in choices:
        return LETTERS[choices.index(text)]
    return LETTERS[int(text)] if text.isdecimal() and int(text) < len(choices) else text.strip("().")


def at(record: Mapping[str, Any], key: str) -> Any:
    """What a record has at a key, which may be one within another: `meta.split`; None if there is nothing."""
    value: Any = record
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def texts(value: Any) -> list[str]:
    """The texts in a value: one, those of a list, or as JSON what is none."""
    match value:
        case None:
            return []
        case list():
            return [text for one in value for text in texts(one)]
        case {"text": str() as text}:
            return [f"{value['title']}: {text}" if value.get("title") else text]
        case str():
            return [value]
    return [json.dumps(value, ensure_ascii=False)]


def questions(items: Sequence[Item], system: str) -> Iterator[batch.Item]:
    """The items as what `run_batch` answers."""
    before = (Message("system", system),) if system else ()
    return (batch.Item(item.id, (*before, Message("user", item.question)), item.turns) for item in items)


# ---- somebody's own file

_QUESTION = ("question", "prompt", "problem", "input", "query", "instruction")
_ANSWER = ("answer", "target", "gold", "label", "solution", "output", "expected", "answers")
_CHOICES = ("choices", "options")
_ASKED_LETTER = "\n\nAnswer with the letter of the right choice. End with: The answer is X."
_ASKED_NUMBER = "\n\nThink step by step. End with: The answer is N."
_ASKED_WORDS = "\n\nEnd with a line that says only: The answer is …"
_NAMED = {"kind": "regex", "pattern": r"(?i)answer\s*(?:is)?:?[ \t]+([^\n]+?)\.?\s*(?:\n|$)"}


def guessed(path: Path) -> tuple[Task, str]:
    """A task made of somebody's own JSONL file, and one line that says what was guessed.

    Raises SpecError if it has no records, or no keys that look like a question and an answer.
    """
    _, records = records_of(path)
    found = []
    for what, known in (("a question", _QUESTION), ("a right answer", _ANSWER)):
        key = next((key for key in known if records and all(texts(record.get(key)) for record in records)), None)
        if key is None:
            raise SpecError(errors.UnguessableKeys(path=str(path), what=what))
        found.append(key)
    question, answer = found
    choices = next((key for key in _CHOICES if all(isinstance(r.get(key), list) for r in records)), "")
    passages = "passages" if all(isinstance(r.get("passages"), list) for r in records) else ""
    golds = [text for record in records for text in texts(record[answer])]
    about: dict[str, Any]
    if choices:
        about = {"grader": "choice", "extract": {"kind": "letter", "choices": LETTERS}}
        prompt = "{question}\n{choices}" + _ASKED_LETTER
    elif all(re.fullmatch(r"-?\$?[\d,]*\.?\d+%?", gold.rpartition("####")[2].strip()) for gold in golds):
        about = {"grader": "numeric", "extract": {"kind": "number"}, "gold": {"kind": "number"}}
        prompt = "{question}" + _ASKED_NUMBER
    elif all("\\boxed" in gold for gold in golds):
        about = {"grader": "math", "extract": {"kind": "boxed"}, "gold": {"kind": "boxed"}}
        prompt = "{question}\n\nThink step by step, and put the answer into \\boxed{}."
    else:
        about = {"grader": "f1", "extract": _NAMED}
        prompt = "{question}" + _ASKED_WORDS
    keys = Keys(question=question, answer=answer, choices=choices, passages=passages)
    prompt = "{passages}\n\n" + prompt if passages else prompt
    task = Task(name=path.name.split(".")[0], slices={"all": str(path.absolute())}, keys=keys, prompt=prompt, **about)
    others = "".join(f", {word} from `{key}`" for word, key in (("choices", choices), ("passages", passages)) if key)
    said = f"took the question from `{question}`, the answer from `{answer}`{others}; graded by `{task.grader}`"
    return task, said


def task_of(name: str) -> tuple[Task, Path | None, str]:
    """A built-in task, or that of a file; the folder of its data where that is not the common one; what was guessed.

    Raises SpecError if there is none.
    """
    path = Path(name)
    match path.suffixes[-2:]:
        case [*_, ".jsonl"] | [".jsonl", ".gz"]:
            task, said = guessed(path)
            return task, None, said
        case [*_, ".yaml" | ".yml"]:
            return read_task(path), path.parent, ""
    return gym_task(name) if name.startswith(PREFIX) else built_in(name), None, ""
