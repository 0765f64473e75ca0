"""The .arch form, read into located values: the same as those of the YAML form."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.source import Source
from archc.spec.arch.advice import advice
from archc.spec.arch.grammar import Unexpected, fold, parse
from archc.spec.arch.outline import MAX_CHARACTERS, MAX_DEPTH, MOST, Mistake, outline, restarts
from archc.spec.arch.steps import Said, Steps, named_by
from archc.spec.arch.values import unique
from archc.spec.located import Comment, Entry, Listing, Located, Table, inner
from archc.spec.vocabulary import Vocabulary
from archc.spec.yaml import MAX_VALUES


def read_arch(source: Source, vocabulary: Vocabulary) -> tuple[Located, tuple[Comment, ...]]:
    """The located values of a text and its comments, in order. Raises SpecError with what is wrong with the form."""
    text = source.text
    if len(text) > MAX_CHARACTERS:
        raise SpecError(errors.TooLarge(what="characters", limit=MAX_CHARACTERS))
    if foreign := _FOREIGN.match(text):
        raise SpecError(_foreign(source, foreign))
    drawn = outline(text)
    if drawn.mistakes:
        raise SpecError(*(_diagnostic(source, mistake) for mistake in drawn.mistakes))
    try:
        tree = parse(text, "start")
    except Unexpected as error:
        raise SpecError(*(_diagnostic(source, mistake) for mistake in _mistakes(text, error))) from None
    if not tree.children:
        raise SpecError(errors.EmptySpec(span=source.span(0, 0)))
    steps = Steps(source, vocabulary)
    root = _root(source, fold(tree, steps.rules), steps.found)
    if steps.found:
        raise SpecError(*steps.found)
    _check_size(root)
    return root, tuple(Comment(text[start:end], source.span(start, end)) for start, end in drawn.comments)


# ---- what is wrong

_BLANK = r"(?:[\s\ufeff]|#[^\n]*+)*+"
_FOREIGN = re.compile(rf"{_BLANK}(?:(?P<yaml>[\w-]+\s*:(?=\s)|---|- |%YAML)|(?P<json>\{{\s*\"[^\"\n]*\"\s*:))")
"""Beginnings that no `.arch` text has."""


def _foreign(source: Source, match: re.Match[str]) -> Diagnostic:
    kind = match.lastgroup or ""
    name = source.name.rpartition(".")[0] or "spec"
    problem = f"this is {kind.upper()}, in a file for the `.arch` form"
    return errors.NotArch(
        span=source.span(*match.span(kind)),
        problem=problem,
        hint=f"name the file `{name}.yaml`",
        here=f"{kind.upper()} here",
    )


def _mistakes(text: str, error: Unexpected) -> Iterable[Mistake]:
    """The first mistake, and those found by going on behind each."""
    begin = 0
    places = restarts(text)
    for _ in range(MOST):
        yield advice(text, error, begin)
        begin = next((place for place in places if place > error.offset), len(text))
        if begin == len(text):
            return
        rest = text[begin:]
        try:
            parse(rest, "continuation" if rest.startswith("->") else "start")
            return
        except Unexpected as later:
            error = Unexpected(begin + later.offset, later.expected)


def _diagnostic(source: Source, mistake: Mistake) -> Diagnostic:
    span = source.span(mistake.start, mistake.end)
    if mistake.limit:
        return errors.TooLarge(span=span, what=mistake.problem, limit=mistake.limit)
    return errors.NotArch(
        span=span, problem=mistake.problem, hint=mistake.hint, here=mistake.here, also=mistake.labels(source.span)
    )


# ---- the whole


def _root(source: Source, said: Iterable[Said], found: list[Diagnostic]) -> Table:
    """The statements as one table, with keys in the order of their first statements."""
    parts: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        parts[one.key].append(one)
    lets, pipes = parts.pop("let", []), parts.pop("pipeline", [])
    entries = [Entry(key, all_of[0].word, _part(all_of, found)) for key, all_of in parts.items()]
    if lets or pipes:
        steps: list[Located] = [named_by(lets, found)] if lets else []
        steps += [step for pipe in pipes if isinstance(pipe.value, Listing) for step in pipe.value.items]
        span = (pipes or lets)[0].span
        entries.append(Entry("pipeline", span, Listing(tuple(steps), span)))
    return Table(tuple(entries), source.span())


def _part(said: Sequence[Said], found: list[Diagnostic]) -> Located:
    """One key of the root."""
    first, *others = said
    span = first.span.join(said[-1].span)
    values = [one.value for one in said]
    if isinstance(first.value, Entry):
        return Table(unique((value for value in values if isinstance(value, Entry)), found), span)
    if first.key == "require":
        return Listing(tuple(value for value in values if not isinstance(value, Entry)), span)
    found += [errors.DuplicateKey.at(one.word, first.word, one.word.text) for one in others]
    return first.value


def _check_size(root: Located) -> None:
    """Refuses more values, or deeper ones, than the YAML form may have."""
    level: list[Located] = [root]
    count = 0
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if count > MAX_VALUES:
            raise SpecError(errors.TooLarge(span=level[-1].span, what="values", limit=MAX_VALUES))
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise SpecError(errors.TooLarge(span=level[0].span, what="levels of nesting", limit=MAX_DEPTH))


def _inside(value: Located) -> Iterable[Located]:
    return [piece.value if isinstance(piece, Entry) else piece for piece in inner(value)]
