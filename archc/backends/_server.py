"""Server: what backends that ask servers share: addresses, keys, replicas, waiting, what is known of each."""

from __future__ import annotations

import abc
import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, PositiveFloat
from pydantic_core import to_json

from archc.address import Address
from archc.backends import probe
from archc.backends._engine import EngineOptions
from archc.backends._openai_reply import Peer, clean, read_failure
from archc.backends._reading import MAX_BYTES
from archc.backends._replicas import UNWELL, Replica, Replicas
from archc.backends._wire import Waits, Wire
from archc.calls import Backend, BackendOptions, CallError, Capabilities, Completion, FailureKind, KeyFor, Request
from archc.diagnostics import RunError
from archc.errors import UnusableKey
from archc.keys import VARIABLE, WELL_KNOWN
from archc.secret import Secret

_OWN = {
    *("messages", "model", "n", "best_of", "stream", "seed", "stop", "temperature", "top_p", "logprobs"),
    *("max_tokens", "max_completion_tokens", "use_activation", "text_1", "text_2", "input", "encoding_format"),
}
"""Fields that backends set."""


def _urls(value: str | list[str]) -> str | list[str]:
    """The addresses in their one way of writing."""
    return str(Address.parse(value)) if isinstance(value, str) else [str(Address.parse(url)) for url in value]


def _foreign(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    taken = sorted(_OWN & body.keys())
    if taken:
        raise ValueError(f"archc itself sets {', '.join(taken)}")
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        raise ValueError("JSON has no infinite numbers, and none that is no number") from None
    return body


_Seconds = Annotated[PositiveFloat, Field(allow_inf_nan=False)]

_PUBLISHED = ("text", "reward", "embeddings", "continuation", "n", "logprobs", "schema")
"""Capabilities that servers tell of."""


class ServerOptions(BackendOptions):
    """Where the server is and what it takes."""

    base_url: Annotated[str | Annotated[list[str], Field(min_length=1)], AfterValidator(_urls)]
    """Where the server is, up to and without `/chat/completions`; several are replicas of the same model."""
    api_key_env: Annotated[str, Field(pattern=f"^{VARIABLE}$")] | None = None
    """The environment variable with the API key; other than loopback hosts must be bound to it."""
    timeout: _Seconds = 600.0
    """Seconds for one call, from connecting to the last byte, with what is asked again in another way."""
    connect_timeout: _Seconds = 10.0
    """Seconds for connecting, of those."""
    first_byte_timeout: _Seconds | None = None
    """Seconds from connecting to the first byte of the answer, which comes when the last token is written."""
    keep_alive: bool = True
    """Whether a connection serves one request after the other. Turn it off for a server or proxy that may send more
    replies than it got requests: on a connection that is kept, such a one can be taken for the next answer."""
    idle_timeout: _Seconds | None = 60.0
    """Seconds between two pieces of an answer that has begun."""
    probe: bool = True
    """Whether archc reads what the server publishes about itself when it connects, and goes by that."""
    serve: EngineOptions | None = None
    """How `archc up` starts it on this machine; `serve: {}` is enough, and no other command reads it."""
    extra_body: Annotated[dict[str, JsonValue], AfterValidator(_foreign)] = Field(default={})
    """Fields to add to each request, for what only this server knows, like `top_k`."""

    @property
    def urls(self) -> list[str]:
        """The replicas, one at least."""
        return [self.base_url] if isinstance(self.base_url, str) else self.base_url

    def endpoints(self) -> tuple[tuple[str, str | None], ...]:
        return tuple((url, self.api_key_env) for url in self.urls)


class ServerBackend(Backend):
    """A model behind one or more servers; how it is asked and how its answers are read is for subclasses to say."""

    def __init__(
        self,
        model: str,
        options: ServerOptions,
        key_for: KeyFor,
        *,
        route: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`route` is where requests go: `/v1/…` is below the server's URL, all others are beside that."""
        self._model = model
        self._options = options
        self._key_for = key_for
        self._route = route
        self._clock = clock
        self._replicas = Replicas((), clock)
        self._wire: Wire | None = None

    @abc.abstractmethod
    def read(self, raw: bytes, request: Request, n: int, replica: Replica) -> tuple[Completion, ...]:
        """The completions in a good reply, `n` at most. Raises CallError for whatever is none."""

    @classmethod
    def known(cls, model: str, options: ServerOptions) -> Capabilities:
        """What all replicas can do, as far as was found out when they were last looked at."""
        found = [known for url in options.urls if (known := probe.recall(url, model))]
        may = [name for name in _PUBLISHED if getattr(cls.capabilities, name)]
        can = {name: all(k.features.get(name, True) for k in found) for name in may}
        contexts = [known.context for known in found if known.context]
        return replace(cls.capabilities, **can, context=min(contexts, default=None))

    async def start(self) -> None:
        options = self._options
        self._replicas = Replicas([self._replica(url) for url in options.urls], self._clock)
        waits = Waits(options.timeout, options.connect_timeout, options.first_byte_timeout, options.idle_timeout)
        self._wire = Wire(waits, options.keep_alive)
        await asyncio.gather(*(self._look(self._wire, replica) for replica in self._replicas))

    async def _look(self, wire: Wire, replica: Replica) -> None:
        """Finds out what a server can do, by what it publishes: that costs nothing."""
        if self._options.probe and Address.parse(replica.peer.url).place not in WELL_KNOWN:
            replica.known = await probe.connect(wire, replica.peer)  # well-known providers all speak plainly

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()

    def until(self) -> float:
        """When a call that begins now must have ended, by the loop's clock."""
        return asyncio.get_running_loop().time() + self._options.timeout

    async def send(self, request: Request, said: Mapping[str, Any], n: int, until: float) -> tuple[Completion, ...]:
        """What comes back on a body with these fields, for `n` completions at most, by a time of the loop's clock.

        Where a server is down or drains, another one gets the request, as long as that costs nothing twice. Raises
        CallError.
        """
        body = self._body(said)
        tried: list[Replica] = []
        while True:
            tried.append(replica := await self._choose(request, tried, until))
            try:
                done = await self._send_to(replica, request, body, n, until)
            except CallError as error:
                error.server = replica.peer.url
                if error.failed.kind not in UNWELL:
                    raise
                self._replicas.failed(replica, error)
                if error.billed or not self._replicas.has_other(tried):
                    raise
            else:
                self._replicas.answered(replica)
                return done

    async def _choose(self, request: Request, tried: list[Replica], until: float) -> Replica:
        """The server for a request; one that had failed is asked first whether it is well again."""
        while True:
            replica = self._replicas.choose(request.messages, tried)
            if not replica.failures or len(self._replicas) == 1 or self._replicas.is_avoided(replica):
                return replica
            self._replicas.failed(replica)  # until it has answered, no other request waits for it
            if await self._is_well(replica, until):
                self._replicas.back(replica)
                return replica

    async def _is_well(self, replica: Replica, until: float) -> bool:
        assert self._wire is not None
        at = probe.place_of(replica.peer.url, replica.known.dialect.health)
        soon = min(until, asyncio.get_running_loop().time() + probe.LOOK_S)
        try:
            return (await self._wire.post(replica.peer, at, None, soon)).status < 500
        except CallError:
            return False

    async def _send_to(
        self, replica: Replica, request: Request, body: bytes, n: int, until: float
    ) -> tuple[Completion, ...]:
        assert self._wire is not None, "`start` comes before `complete`"
        peer = replica.peer
        replica.outstanding += 1
        try:
            reply = await self._wire.post(peer, replica.url, body, until)
        finally:
            replica.outstanding -= 1
        if not 200 <= reply.status < 300:
            raise read_failure(reply.status, reply.headers, reply.body, peer)
        if len(reply.body) > MAX_BYTES:
            raise CallError(FailureKind.BAD_RESPONSE, f"{peer} sent more than {MAX_BYTES} bytes", billed=True)
        return self.read(reply.body, request, n, replica)

    def _body(self, said: Mapping[str, Any]) -> bytes:
        try:
            return to_json({**self._options.extra_body, "model": self._model, **said})
        except ValueError as error:
            reason = f"the request can't be written as JSON: {clean(str(error), Secret())}"
            raise CallError(FailureKind.BAD_REQUEST, reason) from None

    def _replica(self, base_url: str) -> Replica:
        address = Address.parse(base_url)
        variable = self._options.api_key_env
        key = self._key_for(address.place, variable) or ""
        if variable and not key:
            raise RunError(UnusableKey(place=address.place, variable=variable, problem="is not set"))
        if not (key.isascii() and key.isprintable()) or " " in key:
            problem = "has characters that no key has"
            raise RunError(UnusableKey(place=address.place, variable=variable or "", problem=problem))
        return Replica(Peer(self._model, base_url, Secret(key)), probe.place_of(base_url, self._route))
