"""Reading: from located values to a Spec, with all that is wrong with their form."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean
from archc.source import Source
from archc.spec.located import Leaf, Listing, Located, Table, kind_of, plain, span_at
from archc.spec.model import Aims, Budget, ModelEntry, Rules, Sequence, Spec
from archc.spec.params import Params, bound, params_of, refuse_bombs, unbound, unescaped, unknown
from archc.spec.pipeline import sequence
from archc.spec.validation import head, misspelt, validated, wrong

KEYS = ("name", "rules", "params", "models", "budget", "require", "search", "pipeline")
BESIDE = "archon"
"""A key that holds what a config of that system says beside the architecture; only its export reads it."""


def read_spec(source: Source, root: Located) -> Spec:
    """The spec that `root` describes, with everything that is wrong with its form. Raises SpecError if it is none."""
    found: list[Diagnostic] = []
    if not isinstance(root, Table):
        raise SpecError(errors.WrongKind(span=root.span, what="a spec", expected="a mapping", got=kind_of(root)))
    for entry in root:
        if entry.key not in (*KEYS, BESIDE):
            hint = did_you_mean(entry.key, KEYS)
            found.append(errors.UnknownKey(span=entry.key_span, key=entry.key, owner="the spec", hint=hint))
    params = params_of(root, found)
    refuse_bombs(root, params)
    root = _bound(root, params, found)
    models = _models(root, found)
    found += _unfit_requirements(root)
    if aim := root.get("search"):
        validated(Aims, aim.value, "search", found)
    budget = root.get("budget")
    return Spec(
        source,
        name=_string(root, "name", source.name.rsplit("/", 1)[-1].split(".")[0], found),
        models=models or (),
        pipeline=_pipeline(root, found),
        budget=(validated(Budget, budget.value, "budget", found) if budget else None) or Budget(),
        budget_span=budget.key_span if budget else None,
        rules=_rules(root, found),
        params=params,
        mistakes=tuple(found),
        models_are_known=models is not None,
    )


def read_aims(root: Located) -> Aims:
    """What a search of the spec looks for. Raises SpecError."""
    entry = root.get("search") if isinstance(root, Table) else None
    found: list[Diagnostic] = []
    aims = validated(Aims, entry.value, "search", found) if entry else None
    if found:
        raise SpecError(*found)
    return aims or Aims()


def _bound(root: Table, params: Params, found: list[Diagnostic]) -> Table:
    """The spec with its params put in. Those of the pipeline that are not known yet may be known to a block."""
    changed = bound(Table(tuple(e for e in root if e.key != "params"), root.span), params)
    assert isinstance(changed, Table)
    for key in ("models", "budget"):
        entry = changed.get(key)
        found += [unknown(str(leaf.value)[1:], leaf.span, params) for leaf in unbound(entry.value)] if entry else []
    done = (e if e.key == "pipeline" else replace(e, value=unescaped(e.value)) for e in changed)
    return replace(changed, entries=tuple(done))


_EXAMPLE = "pipeline: [{generate: {model: small, n: 4}}]"


def _pipeline(root: Table, found: list[Diagnostic]) -> Sequence:
    entry = root.get("pipeline")
    if entry is None:
        if not misspelt("pipeline", [e.key for e in root]):
            found.append(errors.MissingKey(span=head(root), key="pipeline", owner="the spec", example=_EXAMPLE))
        return Sequence((), root.span)
    if not isinstance(entry.value, Listing):
        found.append(
            wrong(entry.value, "`pipeline`", "a list of steps", "begin each step with a dash: `- generate: …`")
        )
        return Sequence((), root.span)
    pipeline = sequence(entry.value, found)
    if not pipeline.stages:
        found.append(errors.EmptyPipeline(span=entry.value.span))
    return pipeline


def _rules(root: Table, found: list[Diagnostic]) -> Rules:
    rules = _string(root, "rules", "open", found)
    if rules not in get_args(Rules):
        found.append(errors.BadValue(span=span_at(root, ["rules"]), key="rules", problem="use `open` or `archon`"))
    return "archon" if rules == "archon" else "open"


def _unfit_requirements(root: Table) -> list[Diagnostic]:
    """What stands under `require` and is no text; the texts were looked at when choices were closed."""
    entry = root.get("require")
    listed = entry.value.items if entry and isinstance(entry.value, Listing) else [entry.value] if entry else []
    what, expected = "a requirement", "a condition over the params, such as `k * n <= 24`"
    return [wrong(item, what, expected) for item in listed if not isinstance(plain(item), str)]


def _models(root: Table, found: list[Diagnostic]) -> tuple[ModelEntry, ...] | None:
    """The entries of `models`; None where they cannot be known."""
    entry = root.get("models")
    if entry is None:
        return None if misspelt("models", [e.key for e in root]) else ()
    if not isinstance(entry.value, Table):
        found.append(wrong(entry.value, "`models`", "a mapping from names to models"))
        return None
    models = []
    for model in entry.value:
        options = model.value
        if not isinstance(options, Table):
            found.append(wrong(options, f"the model `{model.key}`", "a mapping such as {backend: openai, …}"))
            options = Table((), model.key_span)
        models.append(ModelEntry(model.key, model.key_span, options))
    return tuple(models)


def _string(root: Table, key: str, default: str, found: list[Diagnostic]) -> str:
    entry = root.get(key)
    if entry is None:
        return default
    if isinstance(entry.value, Leaf) and isinstance(entry.value.value, str):
        return entry.value.value
    found.append(wrong(entry.value, f"`{key}`", "a string"))
    return default
