"""What can be wrong with a task, its data, and the runs of it."""

from __future__ import annotations

from archc.diagnostics import Diagnostic


class UnknownTask(Diagnostic):
    """A task that is not built in, and no file either."""

    title = "there is no task `{task}`"
    help = "{hint}\nor give a file: --task questions.jsonl"

    task: str
    hint: str


class BadTask(Diagnostic):
    """A file that should describe a task does not."""

    title = "`{path}` is not a task: {problem}"
    help = "`archc bench --tasks` lists those that come with archc; their files are in archc/bench/tasks"

    path: str
    problem: str


class NoTaskData(Diagnostic):
    """The questions of a task are not there."""

    title = "the task `{task}` needs the file `{path}`, which is not in {where}"
    help = "export ARCHC_DATA=/path/of/the/data{hint}"

    task: str
    path: str
    where: str
    hint: str = ""


class NoHubData(Diagnostic):
    """The hub did not give the data of a task."""

    title = "the task `{task}` could not be fetched from `{path}` on the Hugging Face hub: {problem}"
    help = "put the file of the task into the folder that ARCHC_DATA names, or try again"

    task: str
    path: str
    problem: str


class NoSuchSlice(Diagnostic):
    """A part of a task that it does not have."""

    title = "the task `{task}` has no slice `{slice}`"
    help = "{hint}\nor give a range: --slice 100:200"

    task: str
    slice: str
    hint: str


class UnguessableKeys(Diagnostic):
    """A file of questions in which nothing looks like a question, or like an answer."""

    title = "no key that every record of `{path}` has looks like {what}"
    help = 'name them so: {{"question": "What is 2 + 2?", "answer": "4"}}, with "choices": […] where there are some'

    path: str
    what: str


class NoJudge(Diagnostic):
    """A task whose answers are compared, and nobody to compare them."""

    title = "the task `{task}` needs a judge, and answers to compare with"
    help = "say who compares them: --judge '{{backend: openai, model: MODEL, base_url: URL}}' --versus RUN"

    task: str


class NeedlessJudge(Diagnostic):
    """A judge for a task whose answers are right or wrong by themselves."""

    title = "the answers of `{task}` are not compared, so they need no judge"
    help = "leave --judge and --versus"

    task: str


class NoRival(Diagnostic):
    """Answers to compare with that lack some of the items."""

    title = "`{path}` has no answer to {lacking} of {of} items, such as `{first}`"
    help = "name a run of the same items, or a JSONL file with `id` and `answer`, a list where there are several turns"

    path: str
    lacking: int
    of: int
    first: str


class NoJudgement(Diagnostic):
    """A judge that did not say which answer is better."""

    title = "the judge has no verdict on item `{item}`: {reason}"
    help = "the same command asks it again; another judge may keep to the form of reply that it is told"

    item: str
    reason: str


class NotABench(Diagnostic):
    """A folder that should hold a run of a task does not."""

    title = "`{path}` holds no run of `archc bench`: {problem}"
    help = "archc bench SPEC --task gsm8k --run {path}"

    path: str
    problem: str


class NotComparable(Diagnostic):
    """Two runs that answered different questions."""

    title = "`{one}` and `{other}` can't be compared: {problem}"
    help = "run both on the same data: archc bench SPEC --task gsm8k --limit 50 --shuffle-seed 1 --run DIR"

    one: str
    other: str
    problem: str
