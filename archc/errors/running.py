"""What goes wrong in a run, and with the world around it."""

from __future__ import annotations

from typing import ClassVar

from archc.diagnostics import Diagnostic, Severity

# ---- a run


class NoAnswer(Diagnostic):
    """Every call that could have given an answer failed."""

    title = "every call of `{node}` failed, so there is no answer: {reason}"
    label = "this step"
    help = "{hint}"
    node: str
    reason: str
    """The first failure."""
    hint: str


class TooFewValid(Diagnostic):
    """Fewer results than the step asked for as `min_valid`."""

    title = "`{node}` gave {got} of the {wanted} answers it must give: {reason}"
    label = "`min_valid` is {wanted} here"
    help = "{hint}"
    node: str
    got: int
    wanted: int
    reason: str
    hint: str


class BudgetExhausted(Diagnostic):
    """The budget ended the run and the spec asks for an error then."""

    title = "the budget ended the run: {reason}"
    label = "this step asked for more"
    help = "raise it, or set `on_exhausted: stop` to get the best answer so far"
    reason: str


class BudgetBreach(Diagnostic):
    """A server used more than any call of that kind may, so that no budget can be kept."""

    title = "the server of `{model}` says that a call used {got:,} {what}, where {most:,} are the most that it may"
    label = "asked for here"
    help = "nothing more was sent; use another server, or run without a budget of tokens or USD"
    model: str
    what: str
    got: int
    most: int


class NotRecorded(Diagnostic):
    """A replay needs a call that the journal does not have."""

    title = "the journal has no answer to a call of `{node}`, so the run can't be replayed"
    label = "asked for here"
    help = "replay with the journal that the run wrote; `archc cache verify` tells whether it is whole"
    node: str


class NoSuchRun(Diagnostic):
    """A run that the journal does not have."""

    title = "the journal `{path}` has no run `{run}` that can be replayed"
    help = "{hint}"
    path: str
    run: str
    hint: str


class BadJournal(Diagnostic):
    """The journal cannot be used."""

    title = "cannot use the journal `{path}`: {problem}"
    help = "give another place with `--journal PATH`, or move that file away"
    path: str
    problem: str


class NotAJournal(Diagnostic):
    """A file to import that no journal was exported to."""

    title = "cannot import `{path}`: {problem}"
    help = "give it what `archc cache export FILE` wrote"
    path: str
    problem: str


class BadInput(Diagnostic):
    """A line of an input file that is not a question."""

    title = "line {line} of `{path}` is not a question: {problem}"
    help = 'each line is JSON such as {{"id": "q1", "question": "What is 2 + 2?"}}'
    path: str
    line: int
    problem: str


class ForeignOutput(Diagnostic):
    """An output file that another spec, seed or version has begun."""

    title = "`{path}` was begun with another spec, seed or task"
    help = "give another path, or move that file away"
    path: str


class NoTrace(Diagnostic):
    """A file that should hold a trace holds no event."""

    title = "`{path}` is not a trace: no line of it is an event"
    help = "archc run SPEC QUESTION --trace {path}"
    path: str


class ForeignTrace(Diagnostic):
    """A trace from which nothing can be expected of a spec."""

    title = "`{path}` tells nothing of this spec: no question of it ended that went through any of its steps"
    help = "archc run {spec} QUESTION --trace {path}"
    path: str
    spec: str


# ---- the world outside


class NotWritable(Diagnostic):
    """A file that answers or events should go to cannot be written."""

    title = "cannot write `{path}`: {problem}"
    help = "give another path, or make room there"
    path: str
    problem: str


class MissingExtra(Diagnostic):
    """Something was asked for that needs packages which are not installed."""

    title = "{feature} needs the package `{module}`, which is not installed"
    help = "pip install 'archc[{extra}]'"
    feature: str
    module: str
    extra: str


class NotDelivered(Diagnostic):
    """Spans that nobody took."""

    title = "{what} could not be delivered: {reason}"
    help = "is a collector running at `OTEL_EXPORTER_OTLP_ENDPOINT` (http://localhost:4318)?"
    what: str
    reason: str


class NoSandbox(Diagnostic):
    """Nothing on this machine can hold model-written code in."""

    title = "model-written code can't be run safely here: {reason}"
    help = "{hint}"
    reason: str
    hint: str


class UnreachableServer(Diagnostic):
    """A server that should say what it can do does not answer."""

    title = "there is no server at `{url}`: {reason}"
    help = "give its address up to and without `/chat/completions`: archc probe http://localhost:8000/v1"
    url: str
    reason: str


class NotMeasured(Diagnostic):
    """A model that is to be measured fails."""

    title = "`{model}` can't be measured: {reason}"
    label = "this model"
    help = "`archc run` with it must work first; measure fewer at once with `--most`"
    model: str
    reason: str


class NothingToServe(Diagnostic):
    """`archc up` of a spec none of whose models asks for a server."""

    title = "no model of `{path}` asks to be served"
    help = "add `serve: {{}}` to the entry of each model that `archc up` should start"
    path: str


class NotServedHere(Diagnostic):
    """A model asks to be served at an address of another machine."""

    title = "`{model}` is to be served at `{url}`, which is not this machine"
    label = "asked for here"
    help = "give it an address such as http://127.0.0.1:8000/v1, or run `archc up` there"
    model: str
    url: str


class TooFewGpus(Diagnostic):
    """The models of a spec ask for more GPUs than there are."""

    title = "the models want {wanted} GPUs together, where {there} are given away"
    label = "there is none left for this one"
    help = "lower `tensor_parallel`, serve fewer models, or give more with `--gpus`"
    wanted: int
    there: int


class PortTaken(Diagnostic):
    """Something answers already where a server is to be started."""

    title = "something answers at `{url}` already, where `{model}` is to be started"
    help = "stop that, or choose other ports: `archc up SPEC --port 9000`"
    url: str
    model: str


class UnstartableServer(Diagnostic):
    """A server can't be started, or ended each time before it was well."""

    title = "`{command}` did not bring up a server: {problem}"
    help = "pip install vllm, or say what starts your server: `--command 'llama-server -m {{model}} --port {{port}}'`"
    command: str
    problem: str


class UnusableKey(Diagnostic):
    """The API key that a server needs is not there."""

    title = "the key `{variable}` for `{place}` {problem}"
    label = "asked for here"
    help = "export {variable}=…"

    place: str
    variable: str
    problem: str


class UnboundKey(Diagnostic):
    """A spec names an API key for a host that the user has not bound it to."""

    title = "the key `{variable}` is not bound to `{place}`, so it is not sent there"
    label = "this would send your key to `{place}`"
    help = "archc keys bind {place} {variable}"

    place: str
    """A host, or `http://host` where the way there is not encrypted."""
    variable: str


class UnusableKeyring(Diagnostic):
    """A key is in the system's keyring, which can't be read."""

    title = "the key for `{place}` can't be read from the keyring: {problem}"
    help = "{remedy}"

    place: str
    problem: str
    remedy: str
    """Something to paste."""


class SecretInSpec(Diagnostic):
    """A spec has a key, password or token in it, or wants that of a variable to be put in."""

    title = "{what} does not belong in a spec, which others see and servers get"
    label = "a secret"
    help = "remove it, keep it in an environment variable, and name that: `api_key_env: EXAMPLE_API_KEY`"

    what: str


class UnlistedServer(Diagnostic):
    """A spec names a server that is not among those that the user allows."""

    title = "`{place}` is not one of the servers that `{path}` allows"
    label = "this server"
    help = 'under [servers] in {path}, add "{place}" to `allow`'

    place: str
    path: str


class Unencrypted(Diagnostic):
    """A spec names a server on another machine that is spoken to without encryption."""

    severity: ClassVar[Severity] = "warning"
    title = "what goes to `{place}` and comes back is not encrypted"
    label = "anyone on the way can read and change it"
    help = 'use https, or say that it is meant: under [servers] in your configuration, add "{place}" to `allow`'

    place: str


class UnfitBinding(Diagnostic):
    """A key can't be bound as asked."""

    title = "`{place}` can't be bound to `{variable}`: {reason}"
    label = "named here"
    help = "archc keys bind api.example.com EXAMPLE_API_KEY"

    place: str
    variable: str
    reason: str


class BrokenConfig(Diagnostic):
    """The user's configuration can't be read or edited."""

    title = "the configuration `{path}` can't be used: {reason}"
    label = "here"
    help = 'under [keys], write lines like "api.example.com" = "EXAMPLE_API_KEY"'

    path: str
    reason: str


class MissingModel(Diagnostic):
    """The file of a local model is not there."""

    title = "there is no model file at `{path}`"
    help = "give the path of a GGUF file, or `embedded` for the small model that archc fetches by itself"

    path: str


class UnloadableModel(Diagnostic):
    """The file of a local model is there, but llama.cpp refuses it."""

    title = "llama.cpp can't load `{path}`: {reason}"
    help = "give a complete GGUF file; if memory is short, lower `slots` or `context`"

    path: str
    reason: str


class UnloadableEngine(Diagnostic):
    """vLLM can't load a model in this process."""

    title = "vLLM can't load `{model}`: {reason}"
    help = "{hint}"

    model: str
    reason: str
    hint: str


class UnusablePool(Diagnostic):
    """A pool of recorded answers that can't be read, or has no such model."""

    title = "the pool `{path}` can't be used: {problem}"
    help = "{hint}"

    path: str
    problem: str
    hint: str


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
