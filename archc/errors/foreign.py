"""What is wrong with, or particular about, a file of another system: Archon, optillm, the MoA script."""

from __future__ import annotations

from typing import ClassVar

from archc.diagnostics import Diagnostic, Severity

# ---- reading JSON


class NotJson(Diagnostic):
    """The text is not JSON."""

    title = "this is not valid JSON: {problem}"
    label = "here"
    help = "{hint}"
    problem: str
    hint: str = ""


class RepairedJson(Diagnostic):
    """A known slip of a published config, read as what was meant."""

    severity: ClassVar[Severity] = "warning"
    title = "`{wrong}` is not JSON and was read as `{meant}`"
    label = "read as `{meant}`"
    help = "write `{meant}` here"
    wrong: str
    meant: str


# ---- Archon configs


class IgnoredKey(Diagnostic):
    """A key of an Archon config that changes nothing."""

    severity: ClassVar[Severity] = "warning"
    title = "`{key}` changes nothing on {owner} (written {times})"
    label = "the first is here"
    help = "{hint}"
    key: str
    owner: str
    times: str
    hint: str


class MisspeltKey(Diagnostic):
    """A key that Archon ignores for its spelling, and that is read as what was meant."""

    severity: ClassVar[Severity] = "warning"
    title = "`{key}` is read as `{meant}` (written {times})"
    label = "the first is here"
    help = "Archon itself ignores this spelling; write `{meant}`"
    key: str
    meant: str
    times: str


class UnknownComponent(Diagnostic):
    """A component type that Archon does not have."""

    title = "Archon has no component `{kind}`"
    label = "not a component"
    help = "{hint}"
    kind: str
    hint: str


class UnknownProvider(Diagnostic):
    """A `model_type` whose server is not known."""

    severity: ClassVar[Severity] = "warning"
    title = "the address of the provider `{provider}` is not known"
    label = "named here"
    help = "export {variable}=… (the address of an OpenAI-compatible server)"
    provider: str
    variable: str


class PairwiseModel(Diagnostic):
    """PairRM compares pairs of answers; no backend serves such a model."""

    severity: ClassVar[Severity] = "warning"
    title = "`{model}` is a pairwise reward model, which no backend serves, so nothing can be run"
    label = "asked to rank here"
    help = "rank with a model that answers questions: --set 'models.{entry}={{backend: openai, model: …, base_url: …}}'"
    model: str
    entry: str


class LayerRule(Diagnostic):
    """A layer that Archon's rules forbid, and that does not do what it seems to do."""

    severity: ClassVar[Severity] = "warning"
    title = "layers[{layer}] breaks a rule of Archon: {rule}"
    label = "`{kind}` stands here"
    help = "{hint}"
    layer: int
    rule: str
    kind: str
    hint: str


class CrowdedLayer(Diagnostic):
    """A critic or unit-test generator that shares its layer: what leaves the layer no longer fits together."""

    title = "layers[{layer}] breaks a rule of Archon: `{kind}` is alone in its layer"
    label = "this layer has more"
    help = "give `{kind}` a layer of its own"
    layer: int
    kind: str


class StaleCritiques(Diagnostic):
    """Archon hands critiques on after their candidates are gone."""

    severity: ClassVar[Severity] = "warning"
    title = "the critiques of layers[{critic}] do not reach layers[{layer}]: critiques end with what they describe"
    label = "Archon would show this `{kind}` {count} critiques of other candidates than the {width} that arrive"
    help = "put a critic right before it, if it should see critiques"
    layer: int
    critic: int
    kind: str
    count: int
    width: int


class MismatchedCritiques(Diagnostic):
    """Archon would stop here at run time, since there are more or fewer critiques than candidates."""

    title = "layers[{layer}] gets {width} candidates but {count} critiques, left over from layers[{critic}]"
    label = "Archon stops at this `{kind}`, after all calls before it"
    help = "read it with `fixed` semantics, where critiques end with what they describe, or put a critic before it"
    layer: int
    critic: int
    kind: str
    count: int
    width: int


class SeveralAnswers(Diagnostic):
    """An Archon config whose last layer gives several candidates."""

    severity: ClassVar[Severity] = "warning"
    title = "this ends with up to {width} candidates, of which {taken}"
    label = "the last layer"
    help = "end with a `fuser`, or with a `ranker` of top_k 1"
    width: int
    taken: str


class NotInArchon(Diagnostic):
    """A part of a spec for which the Archon format has no words."""

    title = "the Archon format cannot express {what}"
    label = "written here"
    help = "{hint}"
    what: str
    hint: str = ""


# ---- approaches of optillm


class UnknownApproach(Diagnostic):
    """A word that is no approach of optillm."""

    title = "optillm has no approach `{word}`"
    label = "not an approach"
    help = "{hint}"
    word: str
    hint: str


class NoEquivalent(Diagnostic):
    """An approach of optillm that no steps here stand for."""

    title = "`{word}` of optillm has no equivalent here: {reason}"
    label = "not to be had"
    help = "nearest: {nearest}; to be had are {supported}"
    word: str
    reason: str
    nearest: str
    supported: str


class UnclearApproach(Diagnostic):
    """A combination of approaches that optillm takes to mean less than it says."""

    title = "{problem}"
    label = "here"
    help = "{hint}"
    problem: str
    hint: str


class NearEquivalent(Diagnostic):
    """An approach of optillm that is not done quite as optillm does it."""

    severity: ClassVar[Severity] = "warning"
    title = "{here}, where optillm {there}"
    label = "asked for here"
    help = "change the steps if that matters"
    here: str
    there: str


# ---- options of a script


class BadOption(Diagnostic):
    """An option of a script that is missing, unknown or wrong."""

    title = "`{option}` {problem}"
    label = "here"
    help = "{hint}"
    option: str
    problem: str
    hint: str = ""


class IgnoredOption(Diagnostic):
    """An option of a script that says nothing about the architecture."""

    severity: ClassVar[Severity] = "warning"
    title = "`{option}` is left out: it says nothing about the architecture"
    label = "given here"
    option: str
