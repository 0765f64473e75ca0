"""What can be wrong with a search."""

from __future__ import annotations

from archc.diagnostics import Diagnostic


class UnknownFigure(Diagnostic):
    """An objective or a constraint reads what no trial has."""

    title = "there is no figure `{figure}`"
    label = "not measured"
    help = "{hint}"

    figure: str
    hint: str


class UnfitConstraint(Diagnostic):
    """A constraint that is no comparison."""

    title = "`{text}` is not a constraint"
    label = "this is no comparison of two numbers"
    help = "compare a figure with a limit: 'calls <= 40'"

    text: str


class NoTask(Diagnostic):
    """A search without a task."""

    title = "no task is given: on which questions should the architectures be good?"
    help = "give one: --task gsm8k, or --task questions.jsonl; `archc bench --tasks` lists them"


class NoAdviser(Diagnostic):
    """A sampler that asks a model, without one."""

    title = "the sampler `{sampler}` asks a model what to try, and none is named"
    help = "name one of the spec's models: --adviser {model}"

    sampler: str
    model: str


class NoSearchLimit(Diagnostic):
    """A search that nothing would end."""

    title = "the search has no end: neither a budget nor a number of trials is given"
    help = "give one: --budget calls=20000, or --trials 50"


class NothingToSearch(Diagnostic):
    """A spec without open choices, or none of whose points may be tried."""

    title = "there is nothing to search: {problem}"
    help = "{hint}"

    problem: str
    hint: str


class TooFewItems(Diagnostic):
    """Not enough questions for a search and a confirmation."""

    title = "the task gives {items} items, which are too few to search on some and to confirm on others"
    help = "take more: raise --limit, or choose a larger task"

    items: int


class NotASearch(Diagnostic):
    """A folder that holds no search."""

    title = "`{path}` is not the folder of a search: {problem}"
    help = "give the folder that `archc search SPACE --task T --run FOLDER` made"

    path: str
    problem: str


class ForeignSearch(Diagnostic):
    """A folder that another search began."""

    title = "`{path}` holds another search: {differs} is not the same"
    help = "give another folder: --run FOLDER"

    path: str
    differs: str


class UnknownSampler(Diagnostic):
    """A sampler that there is none of."""

    title = "there is no sampler `{sampler}`"
    help = "{hint}"

    sampler: str
    hint: str


class OneObjective(Diagnostic):
    """Several objectives for a sampler that takes one."""

    title = "the sampler `{sampler}` takes one objective, and there are {objectives}"
    help = "use `tpe`, `gp` or `nsga2`"

    sampler: str
    objectives: int
