"""Models: from the entries of `models` to what ops ask, with the environment's variables put in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from archc import backends, errors
from archc.diagnostics import Diagnostic, did_you_mean
from archc.ir.graph import Model
from archc.keys import WELL_KNOWN, Config, check_key, check_server, read_config
from archc.secret import has_key, names_secret, variable_of_secret
from archc.spec.located import Leaf, Listing, Located, Table, plain, span_at
from archc.spec.model import ModelEntry, SharedOptions, Spec
from archc.spec.validation import validated

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")

Names = Mapping[str, str]
"""From the name that a spec gives a model to the one that it has in the graph."""


class Models:
    """The models of a spec and of all that it uses."""

    def __init__(self, environ: Mapping[str, str], found: list[Diagnostic], will_ask: bool = True) -> None:
        """Where keys and questions would go is not looked at unless it `will_ask`."""
        self.made: list[Model] = []
        self._environ = environ
        self._will_ask = will_ask
        self._found = found
        self._declared: dict[str, Names | None] = {}
        """By the name of the file."""
        self._config: Config | None = None

    def declared(self, spec: Spec, prefix: str = "") -> Names | None:
        """The names of a spec's models; None where they are not known. Each file's are made once."""
        if spec.source.name not in self._declared:
            for entry in spec.models:
                if model := self._model(replace(entry, name=prefix + entry.name)):
                    self.made.append(model)
            known = {entry.name: prefix + entry.name for entry in spec.models} if spec.models_are_known else None
            self._declared[spec.source.name] = known
        return self._declared[spec.source.name]

    def of(self, name: str) -> Model | None:
        """The model of that name in the graph, if it could be made."""
        return next((model for model in self.made if model.name == name), None)

    def _model(self, entry: ModelEntry) -> Model | None:
        before = len(self._found)
        options = self._interpolated(entry.options)
        if len(self._found) > before:
            return None
        self._found += _secrets(options)
        options = replace(options, entries=tuple(e for e in options if not names_secret(e.key)))  # one word on each
        mine = {e.key for e in options if e.key in SharedOptions.model_fields}
        shared = validated(SharedOptions, _part(options, mine, True), entry.name, self._found)
        name = shared.backend if shared else plain(options).get("backend", SharedOptions().backend)
        if not isinstance(name, str):
            return None  # said by SharedOptions
        if name not in backends.names():
            span, hint = span_at(options, ["backend"]), did_you_mean(name, backends.names())
            self._found.append(errors.UnknownBackend(span=span, backend=name, hint=hint))
            return None
        backend = backends.backend_class(name)
        rest = _part(options, mine, False)
        own = validated(backend.Options, rest, entry.name, self._found, also=SharedOptions.model_fields)
        if shared is None or own is None:
            return None
        for i, (url, variable) in enumerate(own.endpoints() if self._will_ask else ()):
            self._config = config = self._config or read_config(self._environ)
            keys = {**WELL_KNOWN, **config.keys}
            self._note(check_key(url, variable, keys, span_at(options, ["api_key_env"])))
            self._note(check_server(url, config, span_at(options, ["base_url", i]), has_key=variable is not None))
        able = backend.known(shared.model, own) if self._will_ask else backend.capabilities
        return Model(entry.name, shared, own, able, entry.name_span)

    def _note(self, diagnostic: Diagnostic | None) -> None:
        if diagnostic:
            self._found.append(diagnostic)

    def _interpolated(self, table: Table) -> Table:
        """The table with `${VAR}` and `${VAR:-default}` in its strings replaced."""
        changed = self._interpolate(table)
        assert isinstance(changed, Table)
        return changed

    def _interpolate(self, value: Located) -> Located:
        match value:
            case Leaf(value=str(text)):
                return replace(value, value=_VARIABLE.sub(lambda m: self._variable(m, value), text))
            case Listing():
                return replace(value, items=tuple(self._interpolate(i) for i in value.items))
            case Table():
                entries = (replace(e, value=self._interpolate(e.value)) for e in value.entries)
                return replace(value, entries=tuple(entries))
            case _:
                return value

    def _variable(self, match: re.Match[str], leaf: Leaf) -> str:
        name, default = match[1], match[2]
        value = self._environ.get(name) or default
        span = leaf.span
        if (at := span.text.find(match[0])) >= 0:
            span = replace(span, start=span.start + at, end=span.start + at + len(match[0]))
        if variable_of_secret(name):
            self._found.append(errors.SecretInSpec(span=span, what=f"the value of `{name}`"))
        elif value is None:
            self._found.append(errors.UnsetVariable(span=span, variable=name))
        return value or ""


def _secrets(value: Located, name: str = "") -> Iterator[Diagnostic]:
    """What is a secret by its look, or by the name that it has."""
    match value:
        case Leaf(value=str() | int() | float() as given) if given and given is not True and names_secret(name):
            yield errors.SecretInSpec(span=value.span, what=f"`{name}`")
        case Leaf(value=str(text)) if has_key(text):
            yield errors.SecretInSpec(span=value.span, what="what looks like an API key")
        case Listing():
            for item in value.items:
                yield from _secrets(item, name)
        case Table():
            for entry in value:
                yield from _secrets(entry.value, entry.key)


def _part(table: Table, keys: set[str], inside: bool) -> Table:
    return replace(table, entries=tuple(e for e in table if (e.key in keys) is inside))


class Noted(Mapping[str, str]):
    """Variables, with a note of those that were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.noted: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        self.noted[name] = value = self._variables[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)
