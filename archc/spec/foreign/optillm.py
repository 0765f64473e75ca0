"""optillm's approach strings, such as `moa&bon-gpt-4o`, read as specs.

`a&b` is a pipeline, `a|b` asks both; what follows the approaches is the model's name, as in optillm (0.4). The numbers
are optillm's defaults: samples, temperatures and token limits of each approach.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean, in_source_order
from archc.source import Source, Span
from archc.spec.foreign.made import made, made_table
from archc.spec.foreign.moa import LONGEST
from archc.spec.foreign.providers import Models, spec_models
from archc.spec.located import Located

Steps = list[dict[str, dict[str, Any]]]

_REFLECT = """{question}

First think step by step within <thinking> tags, and within them reflect on your thinking in <reflection> tags and
correct it. Then give the final answer, and nothing else, within <output> tags."""

_APPROACHES: Mapping[str, Steps] = {
    "none": [{"generate": {}}],
    # best of 3, each rated once
    "bon": [
        {"generate": {"n": 3, "temperature": 1.0, "max_tokens": 4096}},
        {"score": {"temperature": 0.1, "max_tokens": 256}},
        {"select": {"by": "score"}},
    ],
    # three answers of one model, a critique of all, a final answer; its 512 tokens for the critique cut JSON short
    "moa": [
        {"generate": {"n": 3, "temperature": 1.0, "max_tokens": 4096}},
        {"critique": {"temperature": 0.1, "max_tokens": 2048}},
        {"fuse": {"temperature": 0.1, "max_tokens": 8192}},
    ],
    # five answers, the first of the largest group of similar texts
    "self_consistency": [
        {"generate": {"n": 5, "temperature": 1.0, "max_tokens": 4096}},
        {"select": {"by": "medoid"}},
    ],
    "majority_voting": [
        {"generate": {"n": 6, "temperature": 0.6, "max_tokens": 4096}},
        {"extract": {"kind": "number"}},
        {"vote": {}},
    ],
    "genselect": [
        {"generate": {"n": 4, "temperature": 0.7, "max_tokens": 4096}},
        {"rank": {"top_k": 1, "temperature": 0.3, "max_tokens": 2048}},
    ],
    "cot_reflection": [
        {"generate": {"temperature": 0.6, "max_tokens": 4096, "prompt": _REFLECT}},
        {"extract": {"kind": "regex", "pattern": r"(?s)<output>(.*?)(?:</output>|\Z)", "equivalence": "exact"}},
    ],
    "re2": [{"generate": {"prompt": "{question}\nRead the question again: {question}"}}],
    # three agents, two passes of verification each, improvement of what failed, the best that is verified
    "mars": [
        {"generate": {"temperature": 0.3, "max_tokens": 32_000}},
        {"generate": {"temperature": 0.6, "max_tokens": 32_000}},
        {"generate": {"temperature": 1.0, "max_tokens": 32_000}},
        {"verify": {"votes": 2, "reason": False, "filter": False, "temperature": 0.1, "max_tokens": 8_000}},
        {"refine": {"by": "verdict", "max_tokens": 32_000}},
        {"verify": {"votes": 2, "reason": False, "temperature": 0.1, "max_tokens": 8_000}},
        {"select": {"by": "verdict"}},
    ],
}

_DIFFERENCES: Mapping[str, tuple[str, str]] = {
    "self_consistency": ("the answer whose words are most typical is kept", "groups texts by their characters"),
    "majority_voting": ("the vote is over the last number of each answer", "also votes over other kinds of answers"),
    "mars": ("answers that fail verification are improved once", "repeats that up to five times and may synthesise"),
}

_NOT_HERE: Mapping[str, tuple[str, str]] = {
    "mcts": ("it searches a tree of conversations", "bon"),
    "rstar": ("it searches a tree of reasoning steps", "self_consistency"),
    "pvg": ("it also asks for answers that are wrong on purpose, and rewrites the question", "bon"),
    "rto": ("it describes an answer and answers the description again", "moa"),
    "z3": ("it runs a solver", "cot_reflection"),
    "leap": ("it learns principles from examples in the question", "cot_reflection"),
    "plansearch": ("it plans over observations of the question", "moa"),
    "cepo": ("it plans, executes and compares by its own configuration", "moa"),
    "longcepo": ("it splits long texts", "moa"),
    "deepthink": ("it composes a reasoning structure", "cot_reflection"),
    "coc": ("it executes code", "cot_reflection"),
    "executecode": ("it executes code", "none"),
    "cot_decoding": ("it needs the model in its own process", "self_consistency"),
    "entropy_decoding": ("it needs the model in its own process", "none"),
    "thinkdeeper": ("it needs the model in its own process", "none"),
    "autothink": ("it needs the model in its own process", "none"),
    "deepconf": ("it needs the model in its own process", "self_consistency"),
} | dict.fromkeys(
    (
        "spl",
        "mcp",
        "router",
        "memory",
        "privacy",
        "readurls",
        "json",
        "web_search",
        "deep_research",
        "proxy",
        "compact",
    ),
    ("it changes what is asked, not how it is answered", "none"),
)

KNOWN = frozenset(_APPROACHES) | frozenset(_NOT_HERE)
"""All approaches and plugins that optillm has."""

Found = list[Diagnostic]


def read_optillm(source: Source) -> tuple[Located, list[Diagnostic]]:
    """The spec that an approach string means, and where it differs from optillm. Raises SpecError."""
    if len(source.text) > LONGEST:
        raise SpecError(errors.TooLarge(span=source.span(0, 1), what="characters", limit=LONGEST))
    whole = source.span(len(source.text) - len(source.text.lstrip()), len(source.text.rstrip()))
    words, between, at = _approaches(whole)
    found = _mistakes(words)
    model = Span(source, at, whole.end)
    if not re.search(r"\w", model.text):
        hint = f"write the model after a `-`: `{whole.text.rstrip('-') or 'moa'}-gpt-4o-mini`"
        found.append(errors.UnclearApproach(span=whole, problem="no model is named", hint=hint))
    if found:
        raise SpecError(*found)
    models = Models()
    name = models.name(model.text, "OpenAI_API", model)
    pipeline = _parallel(words, name) if between == "|" else _chain(words, name)
    entries = {
        "name": "_".join(word.text for word in words),
        "models": spec_models(models, model),
        "pipeline": made(pipeline, whole),
    }
    return made_table(entries, whole), list(in_source_order(_differences(words, between)))


def _approaches(whole: Span) -> tuple[list[Span], str, int]:
    """The approaches, what stands between them, and where the model's name begins."""
    source, at = whole.source, whole.start
    head = re.compile(r"[^-]*").match(source.text, at, whole.end)
    end = head.end() if head else at
    between = "".join(dict.fromkeys(re.findall(r"[&|]", source.text[at:end])))
    words = [source.span(m.start(), m.end()) for m in re.compile(r"[^&|]+").finditer(source.text, at, end)]
    if not between and not _meant(whole.source.text[at:end]):
        return [source.span(at, at)], "", at  # a bare model's name: asked as it is
    if len(between) > 1 or len(words) != len(re.findall(r"[&|]", source.text[at:end])) + 1:
        problem = "approaches stand between `&`, or between `|`, and both cannot be mixed"
        hint = "for example `moa&bon-gpt-4o` or `moa|bon-gpt-4o`"
        raise SpecError(errors.UnclearApproach(span=source.span(at, end), problem=problem, hint=hint))
    return words, between, min(end + 1, whole.end)


def _meant(word: str) -> bool:
    """Whether a word is, or is likely meant as, an approach."""
    return word in KNOWN or did_you_mean(word, KNOWN).startswith("did")


def _mistakes(words: Sequence[Span]) -> Found:
    found: Found = []
    supported = ", ".join(f"`{name}`" for name in sorted(_APPROACHES))
    for span in words:
        word = span.text
        if word in _NOT_HERE:
            reason, nearest = _NOT_HERE[word]
            nearest = f"`{nearest}`"
            found.append(errors.NoEquivalent(span=span, word=word, reason=reason, nearest=nearest, supported=supported))
        elif word and word not in _APPROACHES:
            near = did_you_mean(word, _APPROACHES)
            meant = f"{near}; " if near.startswith("did") else ""
            hint = f"{meant}to be had are {supported}; a model of that name: `none-{word}…`"
            found.append(errors.UnknownApproach(span=span, word=word, hint=hint))
    return found + _second(words[-1])


def _second(last: Span) -> Found:
    """optillm takes `bon-moa-…` for two approaches and then runs the first alone."""
    after = re.compile(r"-(\w+)-").match(last.source.text, last.end)
    if not last.text or not after or after[1] not in KNOWN:
        return []
    problem, hint = f"`{after[1]}` would not be run: `-` does not combine approaches", f"`{last.text}&{after[1]}-…`"
    return [errors.UnclearApproach(span=last.source.span(*after.span(1)), problem=problem, hint=hint)]


def _steps(word: str, model: str, chained: bool, last: bool) -> list[Any]:
    """The steps of an approach; several generators in a row are a layer."""
    parts = [part for step in _APPROACHES[word or "none"] for part in step.items()]
    if not last:
        parts = [(op, args) for op, args in parts if op != "extract" or word != "cot_reflection"]
    make = _later if chained else _step
    count = sum(op == "generate" for op, _ in parts)
    steps = [make(op, args, model) for op, args in parts]
    return [steps[:count], *steps[count:]] if count > 1 else steps


def _step(op: str, args: Mapping[str, Any], model: str) -> dict[str, Any]:
    return {op: args if op in ("extract", "select", "vote") else {"model": model, **args}}


def _later(op: str, args: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The same after another approach, where there is an answer to start from."""
    if op != "generate":
        return _step(op, args, model)
    prompt = {"prompt": args["prompt"] + _EARLIER} if "prompt" in args else {}
    return _step("fuse", {**args, **prompt}, model)


_EARLIER = "\n\nEarlier answers, which may be wrong:\n\n{candidates}"


def _chain(words: Sequence[Span], model: str) -> list[Any]:
    last = len(words) - 1
    return [step for i, word in enumerate(words) for step in _steps(word.text, model, i > 0, i == last)]


def _parallel(words: Sequence[Span], model: str) -> list[Any]:
    return [[_steps(word.text, model, False, True) for word in words], {"rank": {"model": model, "top_k": 1}}]


def _differences(words: Sequence[Span], between: str) -> Found:
    found: Found = []
    for index, span in enumerate(words):
        if span.text in _DIFFERENCES:
            here, there = _DIFFERENCES[span.text]
            found.append(errors.NearEquivalent(span=span, here=here, there=there))
        if between == "&" and index:
            here = f"`{span.text}` writes new answers to the question from the one before"
            found.append(errors.NearEquivalent(span=span, here=here, there="asks that answer as a question"))
    if between == "|":
        here, there = "a judge picks one of the answers", "gives all of them"
        found.append(errors.NearEquivalent(span=words[0].join(words[-1]), here=here, there=there))
    return found
