"""Servers: the processes that the models of a spec ask for (`serve`), with their commands, ports and GPUs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archc import api, errors
from archc.address import Address
from archc.backends._engine import EngineOptions
from archc.diagnostics import SpecError
from archc.ir.graph import Model
from archc.source import Source

FIRST_PORT = 8000

COMMAND = "vllm serve {model} --host {host} --port {port} {flags}"
"""What starts a server, unless told otherwise; `{flags}` are those that the model's `serve` asks of vLLM."""

_FLAGS = "{flags}"
_DEFAULTED = re.compile(r"\$\{(\w+):-")
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Server:
    """One process to be."""

    name: str
    """The model's name in the spec, with a number where it has several replicas."""
    url: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    """What is set for it beside what is set already."""

    @property
    def line(self) -> str:
        """As typed at a prompt."""
        return shlex.join([*(f"{key}={value}" for key, value in self.environ.items()), *self.command])


@dataclass(frozen=True)
class Servers:
    """All processes that a spec asks for, and the variables by which it finds them."""

    servers: tuple[Server, ...]
    variables: Mapping[str, str]
    """What the spec needs to be set, beside what is set already."""


def servers(
    source: Source,
    environ: Mapping[str, str],
    *,
    overrides: Sequence[str] = (),
    command: str = COMMAND,
    extra: Sequence[str] = (),
    gpus: Sequence[str] | None = None,
    port: int = FIRST_PORT,
) -> Servers:
    """What to start for a spec. A variable of a `base_url` that is not set gets a port of this machine.

    `gpus` are those to give away; by default all that there are. Raises SpecError.
    """
    filled = _Filled(environ, frozenset(_DEFAULTED.findall(source.text)), port)
    graph = api.lower(api.parse(source, overrides), filled)
    wanted = {url: model for model in graph.models for url in _urls(model)}
    if not wanted:
        raise SpecError(errors.NothingToServe(path=source.name))
    free = list(visible_gpus(environ) if gpus is None else gpus)
    there = len(free)  # on a machine without GPUs, none are given away
    made = []
    for url, model in wanted.items():
        address, options = Address.parse(url), _serve(model)
        if not address.is_loopback or address.scheme != "http":
            raise SpecError(errors.NotServedHere(span=model.span, model=model.name, url=url))
        taken = [free.pop(0) for _ in range(options.tensor_parallel) if free]
        if there and len(taken) < options.tensor_parallel:
            wants = sum(_serve(one).tensor_parallel for one in wanted.values())
            raise SpecError(errors.TooFewGpus(span=model.span, wanted=wants, there=there))
        words = (*_words(command, model, address, options), *extra)
        number = _urls(model).index(url)
        name = model.name if len(_urls(model)) == 1 else f"{model.name}-{number + 1}"
        made.append(Server(name, url, words, {"CUDA_VISIBLE_DEVICES": ",".join(taken)} if taken else {}))
    return Servers(tuple(made), filled.made)


class _Filled(Mapping[str, str]):
    """Variables; one that holds an address and is not set gets the next port here."""

    def __init__(self, environ: Mapping[str, str], defaulted: frozenset[str], port: int) -> None:
        self._environ, self._defaulted, self._port = environ, defaulted, port
        self.made: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if value := self._environ.get(name):
            return value
        if name not in self._defaulted and name.endswith("_URL") and name not in self.made:
            self.made[name] = f"http://127.0.0.1:{self._port + len(self.made)}/v1"
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def _serve(model: Model) -> EngineOptions:
    serve = getattr(model.options, "serve", None)
    return serve if isinstance(serve, EngineOptions) else EngineOptions()


def _urls(model: Model) -> list[str]:
    """Where it is to be served; nowhere if it does not ask for that."""
    return [url for url, _ in model.options.endpoints()] if getattr(model.options, "serve", None) else []


def _words(command: str, model: Model, address: Address, options: EngineOptions) -> list[str]:
    """A command's words, which no shell reads, with what stands in braces filled in."""
    if model.shared.model.startswith("-"):  # a spec of somebody else must not give the command a flag
        hint = "write the name of the model, or ./ before its path"
        raise SpecError(errors.BadValue(span=model.span, key="model", problem="it begins with `-`", hint=hint))
    values = {"model": model.shared.model, "name": model.name, "host": address.host, "port": str(address.port)}
    try:
        split = shlex.split(command)
        filled = ([re.sub(r"\{(\w+)\}", lambda m: values[m[1]], w)] if w != _FLAGS else options.flags() for w in split)
        return [word for words in filled for word in words]
    except (KeyError, ValueError) as error:
        known = ", ".join([*(f"{{{key}}}" for key in values), _FLAGS])
        problem = f"it has no value for {{{error.args[0]}}}" if isinstance(error, KeyError) else str(error)
        raise SpecError(errors.BadValue(key="--command", problem=problem, hint=f"known: {known}")) from None


def visible_gpus(environ: Mapping[str, str]) -> list[str]:
    """The GPUs that may be used: those that `CUDA_VISIBLE_DEVICES` names, else all of this machine."""
    named = environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [one.strip() for one in named.split(",") if one.strip()]
    return [str(i) for i, _ in enumerate(_GPUS.iterdir())] if _GPUS.is_dir() else []
