"""Probe: what a server can do, by the routes that it publishes and by short requests; kept in the user's cache folder.

`connect` only reads routes, which costs nothing. `ask` sends a request of a few tokens for each thing that no route
tells; only a person asks for that.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import platformdirs
from pydantic_core import from_json

from archc.address import Address
from archc.backends._dialects import CONTEXT_KEYS, DIALECTS, PLAIN, Dialect, dialect
from archc.backends._features import FEATURES as FEATURES
from archc.backends._openai_reply import Peer
from archc.backends._wire import Waits, Wire
from archc.calls import CallError
from archc.diagnostics import RunError
from archc.errors import UnreachableServer
from archc.secret import Secret

LOOK_S = 5.0
"""How long a server may take to say what it is before it is used without that."""
ASK_S = 60.0
"""How long it may take to answer a request of a few tokens."""


@dataclass(frozen=True)
class Known:
    """What is known of one model on one server."""

    server: str = PLAIN.name
    """The name of its dialect."""
    version: str = ""
    models: tuple[str, ...] = ()
    """Those that it lists; empty where it has no list."""
    context: int | None = None
    """Tokens that a sequence may have."""
    features: Mapping[str, bool] = field(default_factory=dict)
    """What it can do and what not; what is not known is not there."""
    asked: bool = False
    """Whether that was tried, too."""

    @property
    def dialect(self) -> Dialect:
        """How it speaks."""
        return dialect(self.server)


UNKNOWN = Known()


class Peek:
    """Reads a server's routes. Whatever it answers, that is at most nothing."""

    def __init__(self, wire: Wire, peer: Peer, seconds: float = LOOK_S) -> None:
        self._wire, self._peer, self._seconds = wire, peer, seconds
        self.failure: CallError | None = None
        """Why there was no answer, if there was none at least once."""

    async def read(self, route: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The JSON object at a route, or in answer to a body; None for anything else. `/v1/…` is below `base_url`."""
        until = asyncio.get_running_loop().time() + self._seconds
        sent = None if body is None else json.dumps(body).encode()
        try:
            reply = await self._wire.post(self._peer, place_of(self._peer.url, route), sent, until)
        except CallError as error:
            self.failure = error
            return None
        if not 200 <= reply.status < 300:
            return None
        try:
            said = from_json(reply.body or b"{}")
        except ValueError:
            said = {}  # a route that only says that it is well
        return said if isinstance(said, dict) else None


def place_of(base_url: str, route: str) -> Address:
    """Where a route of a server is: `/v1/…` below its base URL, all others beside that."""
    address = Address.parse(base_url)
    below = address.path + route.removeprefix("/v1") if route.startswith("/v1/") else None
    return replace(address, path=below or address.path.removesuffix("/v1") + route)


async def connect(wire: Wire, peer: Peer) -> Known:
    """What is known of a server, found out anew where it is not what it was. Never raises."""
    peek, old = Peek(wire, peer), recall(peer.url, peer.model)
    kind, version, about = await _kind(peek)
    if kind is PLAIN:
        return old or UNKNOWN
    same = old if old and (old.server, old.version) == (kind.name, version) else None
    known = await _look(peek, kind, version, about, same)
    keep(peer.url, known, peer.model)
    return known


async def probe(url: str, model: str, key: str, *, ask: bool) -> tuple[Known, str]:
    """What a server can do, and the name of the model that was looked at: the first one where none is given.

    With `ask`, what no route tells is tried by requests of a few tokens. Raises RunError if there is no such server.
    """
    seconds = ASK_S if ask else LOOK_S
    wire = Wire(Waits(seconds, LOOK_S, None, None), keep_alive=True)
    peek = Peek(wire, Peer(model, url, Secret(key)), seconds)
    try:
        kind, version, about = await _kind(peek)
        known = await _look(peek, kind, version, about)
        if kind is PLAIN and not known.models and peek.failure:
            raise RunError(UnreachableServer(url=url, reason=peek.failure.failed.reason))
        model = model or next(iter(known.models), "")
        if ask:
            known = replace(known, features={**known.features, **await _ask(peek, model)}, asked=True)
    finally:
        await wire.close()
    keep(url, known, model)
    return known, model


async def is_up(url: str) -> bool:
    """Whether a server answers there and has its model loaded."""
    wire = Wire(Waits(LOOK_S, LOOK_S, None, None), keep_alive=False)
    try:
        until = asyncio.get_running_loop().time() + LOOK_S
        # Who wants a key for it is there, too.
        return (await wire.post(Peer("", url, Secret()), place_of(url, "/v1/models"), None, until)).status < 500
    except CallError:
        return False
    finally:
        await wire.close()


async def _kind(peek: Peek) -> tuple[Dialect, str, Mapping[str, Any]]:
    """Which dialect it speaks, its version, and what it says of itself."""
    routes = [(kind, route) for kind in DIALECTS for route in kind.told_by]
    told = await asyncio.gather(*(peek.read(route) for _, route in routes))
    for (kind, _), about in zip(routes, told, strict=True):
        if about and isinstance(version := _at(about, kind.version), str):
            return kind, version[:80], about
    return PLAIN, "", {}


async def _look(peek: Peek, kind: Dialect, version: str, about: Mapping[str, Any], old: Known | None = None) -> Known:
    """What it serves now; what it can do is read only once for each version, as that takes some servers a second."""
    listed = await peek.read("/v1/models")
    published = None if old else await peek.read("/openapi.json")
    entries = [e for e in _list(_at(listed or {}, "data")) if isinstance(e, dict) and isinstance(e.get("id"), str)]
    mine = next((e for e in entries if e["id"] == peek._peer.model), entries[0] if len(entries) == 1 else {})
    context = _at(about, kind.context) or next(filter(None, map(mine.get, CONTEXT_KEYS)), None)
    features = dict.fromkeys(kind.can, True) | _published(published or {}) | dict.fromkeys(kind.cannot, False)
    return Known(
        kind.name,
        version,
        tuple(entry["id"][:200] for entry in entries[:1000]),
        context if type(context) is int and 0 < context < 2**40 else None,
        old.features if old else features,
        bool(old and old.asked),
    )


def _published(openapi: Mapping[str, Any]) -> dict[str, bool]:
    """What an OpenAPI description shows: fields of a chat request, and routes. Without one it shows nothing."""
    paths = _at(openapi, "paths")
    schemas = _at(openapi, "components.schemas")
    if not isinstance(paths, dict) or not isinstance(schemas, dict) or not paths.keys() & _SPEAKS:
        return {}
    asks = [s for name, s in schemas.items() if "chat" in name.lower() and "request" in name.lower()]
    fields = {key for s in asks if isinstance(s, dict) and isinstance(p := s.get("properties"), dict) for key in p}
    return {
        name: feature.field in fields if feature.field else feature.route in paths
        for name, feature in FEATURES.items()
        if (feature.field and fields) or feature.route
    }


_SPEAKS = {FEATURES[name].route for name in ("text", "reward", "embeddings")}
"""A description with none of these routes is one of something else."""


async def _ask(peek: Peek, model: str) -> dict[str, bool]:
    """What requests of a few tokens show, one for each thing; the first one is what the others are compared with."""
    found: dict[str, bool] = {}
    base: dict[str, Any] = {}
    for name, feature in FEATURES.items():
        if feature.shows is None:
            continue
        reply = await peek.read(feature.asks_at, {"model": model, **(feature.request or {})})
        with suppress(KeyError, IndexError, TypeError, ValueError, AttributeError):
            found[name] = False
            found[name] = reply is not None and bool(feature.shows(reply, base))
        base = base or reply or {}
    return found


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path, if anything does."""
    for key in path.split(".") if path else ():
        value = value.get(key) if isinstance(value, dict) else None
    return value if path else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# ---- kept


def folder() -> Path:
    """Where what was found out is kept: in `ARCHC_CACHE` if set, else in the user's cache folder."""
    chosen = os.environ.get("ARCHC_CACHE")
    return (Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("archc")) / "servers"


def _file(url: str, model: str) -> Path:
    return folder() / f"{sha256(f'{url} {model}'.encode()).hexdigest()[:32]}.json"


def recall(url: str, model: str) -> Known | None:
    """What was found out before, if anything was."""
    try:
        told = json.loads(_file(url, model).read_text(encoding="utf-8"))
        return Known(**{**told, "models": tuple(told["models"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(url: str, known: Known, model: str) -> None:
    """Writes it down; where that can't be, it is found out again."""
    path = _file(url, model)
    scratch = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(asdict(known)), encoding="utf-8")
        scratch.replace(path)
