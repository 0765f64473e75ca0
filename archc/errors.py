"""The catalogue: every diagnostic of archc, one frozen dataclass each, in the order of the walk.

Wording: lower case, one sentence, no full stop; the headline stands alone; the help is something to paste.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archc.diagnostics import Diagnostic, Label, Severity
from archc.source import Span

# ---- reading a file


@dataclass(frozen=True, kw_only=True)
class NoSuchFile(Diagnostic):
    """A spec or input file could not be read."""

    title = "cannot read `{path}`: {problem}"
    help = "give the path of a spec, such as specs/quickstart.yaml"
    path: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class TooLarge(Diagnostic):
    """An input beyond the limits that keep loading cheap."""

    title = "the input has more than {limit:,} {what}"
    label = "too much here"
    help = "no architecture needs this much; split it or generate it from Python"
    what: str
    limit: int


@dataclass(frozen=True, kw_only=True)
class NotYaml(Diagnostic):
    """The text is not YAML."""

    title = "this is not valid YAML: {problem}"
    label = "here"
    help = "{hint}"
    problem: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class NoAliases(Diagnostic):
    """YAML anchors and aliases are refused."""

    title = "anchors and aliases are not part of the language"
    label = "written here"
    help = "write the value out"


@dataclass(frozen=True, kw_only=True)
class NoTags(Diagnostic):
    """YAML tags are refused."""

    title = "the tag `{tag}` is not part of the language"
    label = "written here"
    help = "remove the tag; a quoted value is a string"
    tag: str


@dataclass(frozen=True, kw_only=True)
class DuplicateKey(Diagnostic):
    """A key written twice."""

    title = "the key `{key}` is written twice"
    label = "again here"
    help = "remove one of them"
    key: str

    @classmethod
    def at(cls, span: Span, first: Span, key: str) -> DuplicateKey:
        """With the first place shown too."""
        return cls(span=span, key=key, also=(Label(first, "first here"),))


@dataclass(frozen=True, kw_only=True)
class EmptySpec(Diagnostic):
    """A file without content."""

    title = "the spec is empty"
    label = "nothing here"
    help = "start from one in specs/, such as specs/quickstart.yaml"


# ---- the form of a spec


@dataclass(frozen=True, kw_only=True)
class WrongKind(Diagnostic):
    """A mapping where a list should be, and the like."""

    title = "{what} must be {expected}, not {got}"
    label = "this is {got}"
    what: str
    expected: str
    got: str


@dataclass(frozen=True, kw_only=True)
class UnknownKey(Diagnostic):
    """A key that does not exist."""

    title = "{owner} has no key `{key}`"
    label = "not a key of {owner}"
    help = "{hint}"
    key: str
    owner: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class MissingKey(Diagnostic):
    """A key that must be there."""

    title = "{owner} needs `{key}`"
    label = "`{key}` is missing here"
    help = "add `{example}`"
    key: str
    owner: str
    example: str


@dataclass(frozen=True, kw_only=True)
class BadValue(Diagnostic):
    """A value of the wrong type or outside its range."""

    title = "`{key}` is wrong: {problem}"
    label = "this value"
    help = "{hint}"
    key: str
    problem: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class EmptyPipeline(Diagnostic):
    """A pipeline or layer without steps."""

    title = "there are no steps here"
    label = "empty"
    help = "start with `- generate: {{model: small, n: 4}}`"


@dataclass(frozen=True, kw_only=True)
class SeveralOps(Diagnostic):
    """One list item with two ops."""

    title = "one step holds one op, but this one has `{first}` and `{second}`"
    label = "a second op"
    help = "begin a new item: `- {second}: …`"
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class BadOverride(Diagnostic):
    """A `--set` that cannot be applied."""

    title = "cannot apply this override: {problem}"
    label = "given on the command line"
    help = "for example `--set models.small.model=embedded` or `--set generate.n=8`"
    problem: str


# ---- the meaning of a spec


@dataclass(frozen=True, kw_only=True)
class UnknownOp(Diagnostic):
    """An op that does not exist."""

    title = "there is no op `{op}`"
    label = "not an op"
    help = "{hint}"
    op: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class UnknownPass(Diagnostic):
    """A `--skip` of a pass that does not exist."""

    title = "there is no pass `{word}`"
    help = "{hint}"
    word: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class UnknownDiagnostic(Diagnostic):
    """An `archc explain` of what is neither a file nor the name of a diagnostic."""

    title = "`{word}` is neither a file nor the name of a diagnostic"
    help = "{hint}"
    word: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class UnknownModel(Diagnostic):
    """A model that `models` does not declare."""

    title = "there is no model `{model}`"
    label = "not declared under `models`"
    help = "{hint}"
    model: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class UnusedModel(Diagnostic):
    """A model that no step asks."""

    severity: ClassVar[Severity] = "warning"
    title = "the model `{model}` is never asked"
    label = "declared here"
    help = "remove it, or use it in a step"
    model: str


@dataclass(frozen=True, kw_only=True)
class UnknownBackend(Diagnostic):
    """A backend that does not exist."""

    title = "there is no backend `{backend}`"
    label = "not a backend"
    help = "{hint}"
    backend: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class UnsetVariable(Diagnostic):
    """`${VAR}` of a variable that is not set and has no default."""

    title = "the environment variable `{variable}` is not set"
    label = "used here"
    help = "set it (`export {variable}=…`), or give a default: `${{{variable}:-default}}`"
    variable: str


@dataclass(frozen=True, kw_only=True)
class UnknownPrice(Diagnostic):
    """A budget in USD over a model without a price."""

    title = "the budget is in USD, but the price of `{model}` is not known"
    label = "this model has no `price`"
    help = "add `price: {{prompt: 0.15, completion: 0.60}}` (USD per million tokens; 0 if it costs nothing)"
    model: str


@dataclass(frozen=True, kw_only=True)
class MissingCapability(Diagnostic):
    """An op needs what its model's backend cannot do."""

    title = "`{op}` needs {capability}, which the backend `{backend}` of `{model}` does not give"
    label = "needed here"
    help = "use another backend for `{model}`, or drop the option"
    op: str
    capability: str
    backend: str
    model: str


# ---- the graph


@dataclass(frozen=True, kw_only=True)
class NothingToRead(Diagnostic):
    """An op that reads candidates where there are none."""

    title = "`{op}` has no candidates to read"
    label = "nothing has been generated before this"
    help = "put `generate: {{model: …}}` before it"
    op: str


@dataclass(frozen=True, kw_only=True)
class MissingFacet(Diagnostic):
    """An op needs a facet that its candidates do not have."""

    title = "`{op}` needs {facet}, but what arrives is {arrives}"
    label = "needs {facet}"
    help = "{hint}"
    op: str
    facet: str
    arrives: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class UnreadCritique(Diagnostic):
    """A critique that nothing reads is dead code."""

    severity: ClassVar[Severity] = "warning"
    title = "the critique is dropped before anything reads it"
    label = "written here"
    help = "put `fuse`, `rank` or `refine` after it, or remove the critique"


@dataclass(frozen=True, kw_only=True)
class DeadOp(Diagnostic):
    """An op whose only effect is a facet that nothing reads."""

    severity: ClassVar[Severity] = "warning"
    title = "what `{op}` adds is never read"
    label = "added here"
    help = "remove it, or put an op that reads it after it"
    op: str


@dataclass(frozen=True, kw_only=True)
class RankOfOne(Diagnostic):
    """Ordering a single candidate changes nothing."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` gets one candidate, so there is nothing to choose"
    label = "one candidate arrives"
    help = "raise `n` of the step before, or remove this step"
    op: str


@dataclass(frozen=True, kw_only=True)
class DiscardedCandidates(Diagnostic):
    """New candidates replace paid ones that nothing has read."""

    severity: ClassVar[Severity] = "warning"
    title = "`{op}` starts from the question, so the candidates before it are thrown away"
    label = "starts new candidates"
    help = "put both into one layer (`- - generate: …` and `  - generate: …`), or a `fuse` between them"
    op: str


@dataclass(frozen=True, kw_only=True)
class NoCandidates(Diagnostic):
    """The pipeline ends without an answer."""

    title = "the pipeline ends without candidates, so there is no answer"
    label = "the last step"
    help = "end with an op that gives answers, such as `generate` or `fuse`"


@dataclass(frozen=True, kw_only=True)
class ArchonRule(Diagnostic):
    """One of the six composition rules of the Archon paper is broken (with `rules: archon`)."""

    title = "against the rules of Archon: {rule}"
    label = "`{op}` stands here"
    help = "change the order, or drop `rules: archon` to allow it"
    rule: str
    op: str


@dataclass(frozen=True, kw_only=True)
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


# ---- a run


@dataclass(frozen=True, kw_only=True)
class NoAnswer(Diagnostic):
    """Every call that could have given an answer failed."""

    title = "no answer: every call of `{node}` failed"
    label = "this step"
    help = "the first failure was: {reason}"
    node: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TooFewValid(Diagnostic):
    """Fewer results than the step asked for as `min_valid`."""

    title = "`{node}` gave {got} of the {wanted} answers it must give"
    label = "`min_valid` is {wanted} here"
    help = "the first failure was: {reason}"
    node: str
    got: int
    wanted: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class BudgetExhausted(Diagnostic):
    """The budget ended the run and the spec asks for an error then."""

    title = "the budget ended the run: {reason}"
    label = "this budget"
    help = "raise it, or set `on_exhausted: stop` to get the best answer so far"
    reason: str


@dataclass(frozen=True, kw_only=True)
class BadJournal(Diagnostic):
    """The journal cannot be used."""

    title = "cannot use the journal `{path}`: {problem}"
    help = "give another place with `--journal PATH`, or move that file away"
    path: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class BadInput(Diagnostic):
    """A line of an input file that is not a question."""

    title = "line {line} of `{path}` is not a question: {problem}"
    help = 'each line is JSON such as {{"id": "q1", "question": "What is 2 + 2?"}}'
    path: str
    line: int
    problem: str


@dataclass(frozen=True, kw_only=True)
class ForeignOutput(Diagnostic):
    """An output file that another spec, seed or version has begun."""

    title = "`{path}` was begun with another spec or seed"
    help = "give another `--output`, or move that file away"
    path: str


# ---- the world outside


@dataclass(frozen=True, kw_only=True)
class NotWritable(Diagnostic):
    """A file that answers or events should go to cannot be written."""

    title = "cannot write `{path}`: {problem}"
    help = "give another path, or make room there"
    path: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class UnusableKey(Diagnostic):
    """The API key that a server needs is not there."""

    title = "the key `{variable}` for `{place}` {problem}"
    label = "asked for here"
    help = "export {variable}=…"

    place: str
    variable: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class UnboundKey(Diagnostic):
    """A spec names an API key for a host that the user has not bound it to."""

    title = "the key `{variable}` is not bound to `{place}`, so it is not sent there"
    label = "this would send your key to `{place}`"
    help = "archc keys bind {place} {variable}"

    place: str
    """A host, or `http://host` where the way there is not encrypted."""
    variable: str


@dataclass(frozen=True, kw_only=True)
class UnfitBinding(Diagnostic):
    """A key can't be bound as asked."""

    title = "`{place}` can't be bound to `{variable}`: {reason}"
    label = "named here"
    help = "archc keys bind api.example.com EXAMPLE_API_KEY"

    place: str
    variable: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class BrokenConfig(Diagnostic):
    """The user's configuration can't be read or edited."""

    title = "the configuration `{path}` can't be used: {reason}"
    label = "here"
    help = 'under [keys], write lines like "api.example.com" = "EXAMPLE_API_KEY"'

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class MissingModel(Diagnostic):
    """The file of a local model is not there."""

    title = "there is no model file at `{path}`"
    help = "give the path of a GGUF file, or `embedded` for the small model that archc fetches by itself"

    path: str


@dataclass(frozen=True, kw_only=True)
class UnloadableModel(Diagnostic):
    """The file of a local model is there, but llama.cpp refuses it."""

    title = "llama.cpp can't load `{path}`: {reason}"
    help = "give a complete GGUF file; if memory is short, lower `slots` or `context`"

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class UnfetchedWeights(Diagnostic):
    """The embedded model is not in the cache and can't be brought there."""

    title = "the embedded model's weights can't be fetched: {reason}"
    help = "{remedy}\nor put {file} (SHA-256 {digest}) at {path}"

    reason: str
    remedy: str
    """Something to paste."""
    file: str
    digest: str
    path: str
