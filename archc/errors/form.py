"""What is wrong with the form of a spec or a file."""

from __future__ import annotations

from archc.diagnostics import Diagnostic, Label
from archc.source import Span

# ---- reading a file


class NoSuchFile(Diagnostic):
    """A spec or input file could not be read."""

    title = "cannot read `{path}`: {problem}"
    help = "give the path of a spec, such as specs/quickstart.yaml"
    path: str
    problem: str


class TooLarge(Diagnostic):
    """An input beyond the limits that keep loading cheap."""

    title = "there are more than {limit:,} {what}"
    label = "too much here"
    help = "no architecture needs this much: lower the number that makes it so large, or split the spec"
    what: str
    limit: int


class NotYaml(Diagnostic):
    """The text is not YAML."""

    title = "this is not valid YAML: {problem}"
    label = "here"
    help = "{hint}"
    problem: str
    hint: str = ""


class NotArch(Diagnostic):
    """The text does not follow the grammar of `.arch`."""

    title = "{problem}"
    label = "{here}"
    help = "{hint}"
    problem: str
    hint: str = ""
    here: str = "here"


class NoAliases(Diagnostic):
    """YAML anchors and aliases are refused."""

    title = "anchors and aliases are not part of the language"
    label = "written here"
    help = "write the value out"


class NoTags(Diagnostic):
    """YAML tags are refused."""

    title = "the tag `{tag}` is not part of the language"
    label = "written here"
    help = "{hint}"
    tag: str
    hint: str = "remove the tag; a quoted value is a string"


class EmptyChoice(Diagnostic):
    """A choice without options."""

    title = "this choice has no options"
    label = "nothing to choose from"
    help = "write `!choice [1, 2, 4]` or `!choice 1..10`; `[]` as an option of a step means no step"


class BadRange(Diagnostic):
    """A range that is none."""

    title = "this range cannot be read: {problem}"
    label = "this range"
    help = "{hint}"
    problem: str
    hint: str = "write options as a list (`!choice [small, big]`) and numbers as a range (`!choice 1..10`)"


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


class UnknownForm(Diagnostic):
    """A `--from` or `--to` that names no form."""

    title = "there is no form `{form}`"
    help = "{hint}"
    form: str
    hint: str


class EmptySpec(Diagnostic):
    """A file without content."""

    title = "the spec is empty"
    label = "nothing here"
    help = "start from one in specs/, such as specs/quickstart.yaml"


# ---- the form of a spec


class WrongKind(Diagnostic):
    """A mapping where a list should be, and the like."""

    title = "{what} must be {expected}, not {got}"
    label = "this is {got}"
    help = "{hint}"
    what: str
    expected: str
    got: str
    hint: str = ""


class UnknownKey(Diagnostic):
    """A key that does not exist."""

    title = "{owner} has no key `{key}`"
    label = "not a key of {owner}"
    help = "{hint}"
    key: str
    owner: str
    hint: str


class MissingKey(Diagnostic):
    """A key that must be there."""

    title = "{owner} needs `{key}`"
    label = "`{key}` is missing here"
    help = "add `{example}`"
    key: str
    owner: str
    example: str


class BadValue(Diagnostic):
    """A value of the wrong type or outside its range."""

    title = "`{key}` is wrong: {problem}"
    label = "this value"
    help = "{hint}"
    key: str
    problem: str
    hint: str = ""


class EmptyPipeline(Diagnostic):
    """A pipeline or layer without steps."""

    title = "there are no steps here"
    label = "empty"
    help = "start with `- generate: {{model: small, n: 4}}`"


class MisplacedLet(Diagnostic):
    """A `let` after the first step."""

    title = "`let` stands after a step, but names are given before the first one"
    label = "too late here"
    help = "move it to the head of this pipeline"


class SeveralOps(Diagnostic):
    """One list item with two ops."""

    title = "one step holds one op, but this one has `{first}` and `{second}`"
    label = "a second op"
    help = "{hint}"
    first: str
    second: str
    hint: str


class BadOverride(Diagnostic):
    """A `--set` that cannot be applied."""

    title = "cannot apply this override: {problem}"
    label = "given on the command line"
    help = "for example `--set models.small.model=embedded` or `--set generate.n=8`"
    problem: str


# ---- writing


class CannotWrite(Diagnostic):
    """A value that a surface form has no words for."""

    title = "{what} cannot be written in this form"
    label = "no words for this"
    help = "{hint}"
    what: str
    hint: str = ""
