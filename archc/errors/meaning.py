"""What is wrong with the meaning of a spec: its ops, models and graph."""

from __future__ import annotations

from typing import ClassVar

from archc.diagnostics import Diagnostic, Severity

# ---- the meaning of a spec


class UnknownOp(Diagnostic):
    """An op that does not exist."""

    title = "there is no op `{op}`"
    label = "not an op"
    help = "{hint}"
    op: str
    hint: str


class UnknownParam(Diagnostic):
    """A `$name` that no param is called."""

    title = "there is no param `${param}`"
    label = "not declared under `params`"
    help = "{hint}"
    param: str
    hint: str


class MissingParam(Diagnostic):
    """A param without a default to which no value is given."""

    title = "the param `{param}` has no value"
    label = "declared without a default"
    help = "give one: `--set params.{param}=…`, or `with: {{{param}: …}}` where the spec is used"
    param: str


class ShadowedOp(Diagnostic):
    """A `let` that takes the name of an op."""

    title = "`{word}` is an op, so it can't be the name of a value"
    label = "named here"
    help = "choose another name, such as `{word}ed`"
    word: str


class UnusedName(Diagnostic):
    """A value that is named and never read."""

    severity: ClassVar[Severity] = "warning"
    title = "`{word}` is never read"
    label = "named here"
    help = "remove it, or write `{word}` where its candidates are wanted"
    word: str


class UseCycle(Diagnostic):
    """A spec that uses itself, perhaps through others."""

    title = "these specs use each other without end: {chain}"
    label = "this closes the circle"
    help = "remove one of these uses"
    chain: str


class UnknownPass(Diagnostic):
    """A `--skip` of a pass that does not exist."""

    title = "there is no pass `{word}`"
    help = "{hint}"
    word: str
    hint: str


class UnknownDiagnostic(Diagnostic):
    """An `archc explain` of what is neither a file nor the name of a diagnostic."""

    title = "`{word}` is neither a file nor the name of a diagnostic"
    help = "{hint}"
    word: str
    hint: str


class UnknownModel(Diagnostic):
    """A model that `models` does not declare."""

    title = "there is no model `{model}`"
    label = "not declared under `models`"
    help = "{hint}"
    model: str
    hint: str


class UnusedModel(Diagnostic):
    """A model that no step asks."""

    severity: ClassVar[Severity] = "warning"
    title = "the model `{model}` is never asked"
    label = "declared here"
    help = "remove it, or use it in a step"
    model: str


class UnusedBatch(Diagnostic):
    """Samples that could be drawn in parts, where nothing tells when there are enough."""

    severity: ClassVar[Severity] = "warning"
    title = "nothing after it can tell when `{op}` has drawn enough, so all is drawn at once"
    label = "has no effect here"
    help = "let one `vote`, or one `verify` with `first_k`, alone read the answers, or remove `batch`"
    op: str


class UnknownBackend(Diagnostic):
    """A backend that does not exist."""

    title = "there is no backend `{backend}`"
    label = "not a backend"
    help = "{hint}"
    backend: str
    hint: str


class UnsetVariable(Diagnostic):
    """`${VAR}` of a variable that is not set and has no default."""

    title = "the environment variable `{variable}` is not set"
    label = "used here"
    help = "set it (`export {variable}=…`), or give a default: `${{{variable}:-default}}`"
    variable: str


class UnknownPrice(Diagnostic):
    """A budget in USD over a model without a price."""

    title = "the budget is in USD, but the price of `{model}` is not known"
    label = "this model has no `price`"
    help = "add `price: {{prompt: 0.15, completion: 0.60}}` (USD per million tokens; 0 if it costs nothing)"
    model: str


class MissingCapability(Diagnostic):
    """An op needs what its model's backend cannot do."""

    title = "`{op}` needs {capability}, which the backend `{backend}` of `{model}` does not give"
    label = "needed here"
    help = "use another backend for `{model}`, such as {others}, or leave it out"
    op: str
    capability: str
    others: str
    backend: str
    model: str


# ---- the graph


class NothingToRead(Diagnostic):
    """An op that reads candidates where there are none."""

    title = "`{op}` has no candidates to read"
    label = "nothing has been generated before this"
    help = "put `generate: {{model: …}}` before it"
    op: str


class MissingFacet(Diagnostic):
    """An op needs a facet that its candidates do not have."""

    title = "{op} needs {facet}, but what arrives is {arrives}"
    label = "needs {facet}"
    help = "{hint}"
    op: str
    facet: str
    arrives: str
    hint: str


class StaleFacet(Diagnostic):
    """An op is told to use a facet that its candidates do not carry any more, or never did."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` is to use {facet}, but what arrives has none"
    label = "there is nothing to use"
    help = "put the step that writes it right before this one, or remove `{argument}`"
    op: str
    argument: str
    facet: str


class SmallModel(Diagnostic):
    """Fusing and critique make answers of models of 8B and below worse (Archon, Table 38)."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` asks the small model `{model}`, which does this badly"
    label = "a small model"
    help = "let a larger model do it, or use `rank` or `vote` instead"
    op: str
    model: str


class OverContext(Diagnostic):
    """A step may write more than its model takes, prompt and completion together."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` may write {most:,} tokens, where `{model}` has {context:,} for prompt and answer together"
    label = "asked for here"
    help = "lower it: `{op}: {{max_tokens: {fits}}}`; or serve the model with a longer context"
    op: str
    model: str
    most: int
    context: int
    fits: int


class CostSurprise(Diagnostic):
    """A plan whose most is far above its least."""

    severity: ClassVar[Severity] = "warning"
    title = "this may take up to {most:,} calls, though {least:,} may do"
    label = "most of the difference is here"
    help = "lower its bound, or set a budget: `budget: {{calls: {suggested}}}`"
    most: int
    least: int
    suggested: int


class UnreadCritique(Diagnostic):
    """A critique that nothing reads is dead code."""

    severity: ClassVar[Severity] = "warning"
    title = "the critique is dropped before anything reads it"
    label = "written here"
    help = "put `fuse`, `rank` or `refine` right after it, or remove the critique"


class DeadOp(Diagnostic):
    """An op whose only effect is a facet that nothing reads."""

    severity: ClassVar[Severity] = "warning"
    title = "what `{op}` adds is never read"
    label = "added here"
    help = "remove it, or put an op that reads it after it"
    op: str


class RankOfOne(Diagnostic):
    """Ordering a single candidate changes nothing."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` gets one candidate, so there is nothing to choose"
    label = "nothing to choose"
    help = "raise `n` of the step before, or remove this step"
    op: str


class DiscardedCandidates(Diagnostic):
    """New candidates replace paid ones that nothing has read."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` starts from the question, so the candidates before it are thrown away"
    label = "starts new candidates"
    help = "put both into one layer (`- - generate: …` and `  - generate: …`), or a `fuse` between them"
    op: str


class NoCandidates(Diagnostic):
    """The pipeline ends without an answer."""

    title = "the pipeline ends without candidates, so there is no answer"
    label = "the last step"
    help = "end with an op that gives answers, such as `generate` or `fuse`"


class ArchonRule(Diagnostic):
    """One of the six composition rules of the Archon paper is broken (with `rules: archon`)."""

    title = "against the rules of Archon: {rule}"
    label = "`{op}` stands here"
    help = "change the order, or drop `rules: archon` to allow it"
    rule: str
    op: str


class BudgetTooSmall(Diagnostic):
    """A budget below what the plan needs at least."""

    severity: ClassVar[Severity] = "warning"
    title = "the budget of {limit:,} {unit} is below the {least:,} that the plan needs at least"
    label = "this budget"
    help = "raise it to {most:,} to be sure, or ask for less"
    unit: str
    limit: int
    least: int
    most: int
