"""The options of Together's MoA scripts (`generate_for_alpaca_eval.py`, `bot.py`), read as a spec.

    --model Qwen/Qwen1.5-110B-Chat --reference_models Qwen/Qwen2-72B-Instruct,databricks/dbrx-instruct --rounds 3

Every round is a layer of the reference models: the first answers the question, each later one reads all answers of the
round before. Then `model` writes the final answer. Without reference models it answers alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean
from archc.source import Source, Span
from archc.spec.foreign.made import layer, made_table, step
from archc.spec.foreign.providers import Models, spec_models
from archc.spec.located import Leaf, Located

_DEFAULTS: Mapping[str, str] = {"rounds": "1", "temperature": "0.7", "max_tokens": "2048"}
_OPTIONS = frozenset({"model", "reference_models", *_DEFAULTS})
_BESIDE = frozenset({"output_path", "num_proc", "multi_turn"})
"""Options that say nothing about the architecture."""
_MOST_ROUNDS = 100
_MOST_STEPS = 2000
LONGEST = 4096
"""Characters of what is given in a command line."""

_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+""")


def read_moa(source: Source) -> tuple[Located, list[Diagnostic]]:
    """The spec that the script's options mean, and which of them were left out. Raises SpecError."""
    if len(source.text) > LONGEST:
        raise SpecError(errors.TooLarge(span=source.span(0, 1), what="characters", limit=LONGEST))
    wrong: list[Diagnostic] = []
    options = _options(source, wrong)
    beside = [o for name, (o, _) in options.items() if name in _BESIDE]
    if "model" not in options and not wrong:
        wrong.append(errors.BadOption(span=source.span(), option="--model", problem="is missing", hint="--model NAME"))
    rounds = _number(options, "rounds", wrong)
    sampling = {key: _number(options, key, wrong) for key in ("temperature", "max_tokens")}
    if rounds.value is not None and rounds.value not in range(1, _MOST_ROUNDS + 1):
        problem = f"is a whole number from 1 to {_MOST_ROUNDS}"
        wrong.append(errors.BadOption(span=rounds.span, option="--rounds", problem=problem))
    if wrong:
        raise SpecError(*wrong)
    models = Models()
    references = _references(options)
    if int(rounds.value or 1) * len(references) > _MOST_STEPS:
        raise SpecError(errors.TooLarge(span=options["reference_models"][1], what="steps", limit=_MOST_STEPS))
    last = options["model"][1]
    layers = []
    for index in range(int(rounds.value or 1) if references else 0):
        op = "fuse" if index else "generate"
        steps = [step(op, {"model": _name(models, r), **sampling}, r) for r in references]
        layers.append(layer(steps, references[0].join(references[-1])))
    op = "fuse" if references else "generate"
    layers.append(step(op, {"model": _name(models, last), **sampling}, last))
    entries = {"name": "mixture_of_agents", "models": spec_models(models, last), "pipeline": layers}
    told: list[Diagnostic] = [errors.IgnoredOption(span=span, option=span.text) for span in beside]
    return made_table(entries, source.span()), told


Options = dict[str, tuple[Span, Span]]
"""By name: where the option stands, and where its value."""


def _options(source: Source, wrong: list[Diagnostic]) -> Options:
    options: Options = {}
    words = [source.span(*m.span()) for m in _WORD.finditer(source.text) if m[0] != "\\"]  # where a line goes on
    while words:
        word = words.pop(0)
        match = re.match(r"--(\w[\w-]*)(=?)", word.text)
        if not match:
            if not word.text.endswith(".py") and word.text != "python":
                wrong.append(errors.BadOption(span=word, option=word.text, problem="is no option", hint=_KNOWN))
            continue
        name, at = match[1].replace("-", "_"), source.span(word.start, word.start + match.end(1))
        if match[2]:
            value = source.span(word.start + match.end(), word.end)
        else:
            value = words.pop(0) if words and not words[0].text.startswith("--") else source.span(word.end, word.end)
        wrong += _unfit(name, at, value)
        options[name] = (at, _unquoted(value))
    return options


_KNOWN = "the options are " + ", ".join(f"`--{name}`" for name in sorted(_OPTIONS | _BESIDE))


def _unfit(name: str, at: Span, value: Span) -> list[Diagnostic]:
    option = f"--{name}"
    if name == "reference_paths":
        hint = "name the `--reference_models` that wrote them"
        return [errors.BadOption(span=at, option=option, problem="takes answers from files", hint=hint)]
    if name not in _OPTIONS | _BESIDE:
        hint = did_you_mean(name, _OPTIONS | _BESIDE)
        return [errors.BadOption(span=at, option=option, problem="is no option of the script", hint=hint)]
    if not _unquoted(value).text and name in _OPTIONS:
        return [errors.BadOption(span=at, option=option, problem="has no value", hint=f"{option} VALUE")]
    return []


def _unquoted(span: Span) -> Span:
    quoted = len(span.text) >= 2 and span.text[0] in "\"'" and span.text[-1] == span.text[0]
    return Span(span.source, span.start + 1, span.end - 1) if quoted else span


def _number(options: Options, name: str, wrong: list[Diagnostic]) -> Leaf:
    """The number of an option; its range is for the op to check."""
    if name not in options:
        text, span = _DEFAULTS[name], next(iter(options.values()))[1] if options else None
    else:
        span = options[name][1]
        text = span.text
    value: Any = int(text) if re.fullmatch(r"\d{1,9}", text) else None
    if value is None and re.fullmatch(r"\d{1,9}\.\d{1,9}", text):
        value = float(text)
    if value is None:
        wrong.append(errors.BadOption(span=span, option=f"--{name}", problem="is a number"))
    return Leaf(value, span or Source("", "").span())


def _references(options: Options) -> list[Span]:
    """The reference models, each where it stands."""
    if "reference_models" not in options:
        return []
    span = options["reference_models"][1]
    found = re.compile(r"[^\s,\[\]\"']+").finditer(span.source.text, span.start, span.end)
    return [span.source.span(*match.span()) for match in found]


def _name(models: Models, span: Span) -> str:
    return models.name(span.text, "Together_API", span)
