"""Keys: which servers may be asked, and which API key may go to which. A spec can't widen either.

The user's configuration (`config.toml`, or the file that `ARCHC_CONFIG` names) binds places to environment variables,
or to entries of the system's keyring:

    [keys]
    "api.together.xyz" = "TOGETHER_API_KEY"     # over https only
    "http://gpu1.lab" = "LAB_KEY"               # over plain http, where anyone on the way can read it
    "api.x.ai" = "keyring:archc/me"             # keyring:SERVICE/USER

    [servers]
    allow = ["api.together.xyz", "http://gpu1.lab", "loopback"]     # without this line all

Servers on this machine may get whatever variable a spec names.
"""

from __future__ import annotations

import re
import shlex
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from archc.address import Address
from archc.diagnostics import Diagnostic, RunError, SpecError
from archc.errors import BrokenConfig, UnboundKey, Unencrypted, UnfitBinding, UnlistedServer, UnusableKeyring
from archc.source import Source, Span

WELL_KNOWN: Mapping[str, str] = {
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "api.deepseek.com": "DEEPSEEK_API_KEY",
    "api.fireworks.ai": "FIREWORKS_API_KEY",
    "api.groq.com": "GROQ_API_KEY",
    "api.mistral.ai": "MISTRAL_API_KEY",
    "api.openai.com": "OPENAI_API_KEY",
    "api.together.xyz": "TOGETHER_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
    "openrouter.ai": "OPENROUTER_API_KEY",
}
"""Bindings that hold without configuration: each host and its owner's usual variable."""

VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
"""What the name of an environment variable looks like."""


KEYRING = "keyring:"
"""How a binding to an entry of the system's keyring begins; `SERVICE/USER` follows."""

LOOPBACK = "loopback"
"""What stands for this machine in the list of servers that may be asked."""


@dataclass(frozen=True, slots=True)
class Config:
    """The user's configuration."""

    path: Path
    keys: Mapping[str, str]
    """The user's own bindings: place -> variable, or entry of the keyring."""
    allow: frozenset[str] | None
    """The places that may be asked; None is all."""


def read_config(environ: Mapping[str, str]) -> Config:
    """Reads the file; one that is not there says nothing. Raises `SpecError` for a broken one."""
    path = config_path(environ)
    text = _text(path)
    return Config(path, _read(path, text), _allowed(path, text))


def bindings(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Place -> variable: the well-known ones, and over them the user's. Raises `SpecError` for a broken file."""
    return {**WELL_KNOWN, **read_config(environ).keys}


def config_path(environ: Mapping[str, str]) -> Path:
    """The user's configuration file; it need not exist."""
    named = environ.get("ARCHC_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("archc") / "config.toml"


def bind(place: str, variable: str, environ: Mapping[str, str]) -> Path:
    """Writes a binding into the user's configuration, keeping all else in it, and gives the file's path.

    `place` is a host, or `http://host` for an unencrypted one. Raises `SpecError`.
    """
    unfit = _unfit(place, variable)
    if unfit:
        raise SpecError(UnfitBinding(place=place, variable=variable, reason=unfit))
    place = _place(place)
    path = config_path(environ)
    old = _text(path)
    want = {**_read(path, old), place: variable}
    line = f'"{place}" = "{variable}"'
    new = _with_line(old, place, line)
    try:
        done = _read(path, new) == want and _others(new) == _others(old)
    except SpecError:
        done = False
    if not done:
        raise SpecError(BrokenConfig(path=str(path), reason=f"its [keys] can't be edited safely; add `{line}` by hand"))
    _replace(path, new)
    return path


def key_for(place: str, environ: Mapping[str, str], variable: str | None = None) -> str | None:
    """The key that may go to `place`, if any. `variable` is what a spec names; it never widens what is bound."""
    return key_source(environ)(place, variable)


def key_source(environ: Mapping[str, str]) -> Callable[[str, str | None], str | None]:
    """The `KeyFor` to hand to backends; reads the user's configuration once. Raises `SpecError` for a broken file.

    The `KeyFor` raises `RunError` for a keyring that can't be read.
    """
    bound = bindings(environ)

    def source(place: str, variable: str | None) -> str | None:
        name = bound.get(place)
        if variable is not None and variable != name:
            name = variable if Address.parse(place if "://" in place else _as_url(place)).is_loopback else None
        if name and name.startswith(KEYRING):
            return _from_keyring(place, name)
        return environ.get(name, "").strip() or None if name else None

    return source


def check_key(
    base_url: str, api_key_env: str | None, bound: Mapping[str, str], span: Span | None = None
) -> Diagnostic | None:
    """What is wrong with a spec that wants the key `api_key_env` sent to `base_url`, if anything.

    A malformed `base_url` is not this check's concern: the backend's options report it.
    """
    if api_key_env is None:
        return None
    try:
        address = Address.parse(base_url)
    except ValueError:
        return None
    if not re.fullmatch(VARIABLE, api_key_env):
        return UnfitBinding(place=address.place, variable=api_key_env, reason=_NOT_A_VARIABLE, span=span)
    if address.is_loopback or bound.get(address.place) == api_key_env:
        return None
    return UnboundKey(place=address.place, variable=api_key_env, span=span)


def check_server(
    base_url: str, config: Config, span: Span | None = None, *, has_key: bool = False
) -> Diagnostic | None:
    """What is wrong with asking `base_url`, if anything; with `has_key` the way there was thought of (`check_key`).

    A malformed `base_url` is not this check's concern: the backend's options report it.
    """
    try:
        address = Address.parse(base_url)
    except ValueError:
        return None
    place = address.place
    names = {place, LOOPBACK} if address.is_loopback else {place} - {LOOPBACK}  # a host may be called so
    if config.allow is not None and not config.allow & names:
        return UnlistedServer(place=place, path=str(config.path), span=span)
    if not place.startswith("http://") or has_key or place in config.keys or config.allow:
        return None
    return Unencrypted(place=place, span=span)


def _from_keyring(place: str, entry: str) -> str:
    """The key of that entry. Raises `RunError`."""
    service, _, user = entry.removeprefix(KEYRING).partition("/")
    remedy = f"keyring set {shlex.quote(service)} {shlex.quote(user)}"
    try:
        import keyring
    except ImportError:
        problem, remedy = "the package `keyring` is not installed", "pip install 'archc[keyring]'"
        raise RunError(UnusableKeyring(place=place, problem=problem, remedy=remedy)) from None
    try:
        key = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001  # each system's keyring has errors of its own
        problem = f"{type(error).__name__}: {error}"
        raise RunError(UnusableKeyring(place=place, problem=problem, remedy="keyring diagnose")) from None
    if not key:
        raise RunError(UnusableKeyring(place=place, problem=f"`{service}` has no key of `{user}`", remedy=remedy))
    return str(key).strip()


_NOT_A_VARIABLE = "that is not the name of an environment variable"


def _as_url(host: str) -> str:
    return f"https://[{host}]" if ":" in host else f"https://{host}"


def _place(text: str) -> str:
    """The one way to write a place. Raises `ValueError` if it is none."""
    address = Address.parse(text if text.startswith("http://") else _as_url(text))
    shown = address.host if ":" not in address.host else f"[{address.host}]"
    if address.path or text.lower().removeprefix("http://") not in (address.host, shown):
        raise ValueError("a key is bound to a host, without port and path")
    return address.place


def _unfit(place: str, variable: str) -> str:
    """Why the two can't be bound to each other; empty if they can."""
    if variable.startswith(KEYRING):
        if not re.fullmatch(r"[^/\s\"\\]+/[^\s\"\\]+", variable.removeprefix(KEYRING)):
            return "an entry of the keyring is written `keyring:SERVICE/USER`"
    elif not re.fullmatch(VARIABLE, variable):
        return _NOT_A_VARIABLE
    try:
        _place(place)
    except ValueError as error:
        return str(error)
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(BrokenConfig(path=str(path), reason=str(error))) from None


def _read(path: Path, text: str) -> dict[str, str]:
    """The user's own bindings."""
    source = Source(str(path), text)
    try:
        table = tomllib.loads(text).get("keys", {})
    except tomllib.TOMLDecodeError as error:
        raise SpecError(BrokenConfig(path=str(path), reason=str(error), span=_at(source, str(error)))) from None
    if not isinstance(table, dict):
        raise SpecError(BrokenConfig(path=str(path), reason="`keys` is not a table"))
    wrong = [
        BrokenConfig(path=str(path), reason=reason, span=_line_with(source, place))
        for place, variable in table.items()
        if (reason := _unfit_entry(place, variable))
    ]
    if wrong:
        raise SpecError(*wrong)
    return {_place(place): variable for place, variable in table.items()}


def _allowed(path: Path, text: str) -> frozenset[str] | None:
    """The places under `[servers] allow`. What is wrong there is told, not passed over: it would allow too much."""
    table = tomllib.loads(text).get("servers", {})
    listed = table.get("allow") if isinstance(table, dict) else 0
    if not isinstance(table, dict) or table.keys() - {"allow"}:
        reason = '[servers] takes one line, like allow = ["api.example.com", "http://gpu1.lab", "loopback"]'
        raise SpecError(
            BrokenConfig(path=str(path), reason=reason, span=_line_with(Source(str(path), text), "servers"))
        )
    if listed is None:
        return None
    places = set()
    for entry in listed if isinstance(listed, list) else [listed]:
        try:
            if not isinstance(entry, str):
                raise ValueError("a host is written in quotes")
            places.add(entry if entry == LOOPBACK else _place(entry))
        except ValueError as error:
            span = _line_with(Source(str(path), text), str(entry))
            raise SpecError(BrokenConfig(path=str(path), reason=f"`{entry}`: {error}", span=span)) from None
    return frozenset(places)


def _unfit_entry(place: str, variable: object) -> str:
    if isinstance(variable, str):
        reason = _unfit(place, variable)
        return f"`{place}`: {reason}" if reason else ""
    if isinstance(variable, dict):
        return f"`{place}` is a table; put quotes around the whole host name"
    return f"`{place}` is not bound to the name of an environment variable"


def _at(source: Source, message: str) -> Span | None:
    """The place that tomllib's message tells."""
    found = re.search(r"at line (\d+), column (\d+)", message)
    if not found:
        return None
    lines = source.text.splitlines(keepends=True)
    start = sum(map(len, lines[: int(found[1]) - 1])) + int(found[2]) - 1
    return source.span(min(start, len(source.text)), min(start + 1, len(source.text)))


def _line_with(source: Source, word: str) -> Span | None:
    start = source.text.find(word)
    return source.span(start, start + len(word)) if start >= 0 else None


def _others(text: str) -> dict[str, Any]:
    return {name: value for name, value in tomllib.loads(text).items() if name != "keys"}


def _with_line(text: str, place: str, line: str) -> str:
    """`text` with `line` in its table [keys], in the place of an earlier line for the same place."""
    lines = text.splitlines(keepends=True)
    header = next((i for i, old in enumerate(lines) if re.match(r"\s*\[\s*keys\s*\]", old)), None)
    if header is None:
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{chr(10) if text else ''}[keys]\n{line}\n"
    for i in range(header + 1, len(lines)):
        if re.match(r"\s*\[", lines[i]):
            break
        old = re.match(rf"""\s*(["']?){re.escape(place)}\1\s*=\s*("[^"]*"|'[^']*')""", lines[i], re.IGNORECASE)
        if old:
            lines[i] = line + lines[i][old.end() :]
            return "".join(lines)
    lines[header] = lines[header].rstrip("\r\n") + f"\n{line}\n"
    return "".join(lines)


def _replace(path: Path, text: str) -> None:
    """Writes the file whole or not at all, readable by its owner only."""
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".config-", delete=False) as file:
        file.write(text.encode())
    Path(file.name).replace(path)
