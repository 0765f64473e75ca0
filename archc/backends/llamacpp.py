"""llamacpp: a GGUF file in this process, by llama.cpp; `embedded` is a small model that archc fetches by itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sys
import weakref
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from archc.backends import weights
from archc.backends._labels import LIKELIEST
from archc.backends._llamacpp_draft import Draft, Growing
from archc.calls import (
    Backend,
    BackendOptions,
    CallError,
    Capabilities,
    Completion,
    FailureKind,
    KeyFor,
    Request,
)
from archc.diagnostics import RunError
from archc.errors import MissingModel, UnloadableModel

EMBEDDED = "embedded"

_PROBE = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.verbosity, params.n_ctx, params.fit_params = sys.argv[1], 1, int(sys.argv[2]), False
xllamacpp.Server(params)
"""


class LlamaCpp(Backend):
    """Decodes up to `slots` sequences at once; further ones wait their turn.

    Consecutive seeds share one reading of the prompt; others read it once each. A seed gives its text whatever else is
    being decoded, as far as the processor's arithmetic doesn't depend on what it is batched with: on CPUs it was never
    seen to, on GPUs it may. `start` stops the event loop while the model loads (llama.cpp's binding keeps the GIL);
    decoding doesn't. A cancelled call ends with the next token, or with the next piece of its prompt.
    """

    class Options(BackendOptions):
        """Options of llama.cpp."""

        slots: PositiveInt = 8
        """Sequences decoded at once; each holds memory for `context` tokens."""
        context: PositiveInt = 2048
        """Tokens per sequence, prompt and completion together."""
        threads: PositiveInt | None = None
        """Processor threads; llama.cpp chooses by default."""
        gpu_layers: NonNegativeInt | None = None
        """Layers on the GPU, where xllamacpp is built for one; all that fit by default."""
        top_k: NonNegativeInt = 40
        """Draw among this many likeliest tokens; 0 for all."""
        min_p: float = Field(0.05, ge=0, le=1)
        """Draw among tokens at least this likely, relative to the likeliest; 0 for all."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        continuation=True, n=True, logprobs=True, schema=True, seed=True
    )

    def __init__(self, model: str, options: Options, key_for: KeyFor) -> None:
        self._model = model
        self._options = options
        # In a list, so that the model is freed before the interpreter ends even if nobody calls `close`.
        self._server: list[Any] = []
        weakref.finalize(self, self._server.clear)
        self._threads: ThreadPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._free = asyncio.Semaphore(options.slots)
        self._drafts: set[Draft] = set()

    @classmethod
    def known(cls, model: str, options: Options) -> Capabilities:
        return replace(cls.capabilities, context=options.context)

    @property
    def fingerprint(self) -> str:
        """The file's SHA-256 and the options that change answers. Raises `RunError` if there is no such file."""
        if self._model == EMBEDDED:
            digest = weights.DIGEST
        else:
            path = self._given()
            about = path.stat()
            digest = _digest(path, about.st_size, about.st_mtime_ns)
        options = self._options
        return f"llamacpp:{digest}:context={options.context},top_k={options.top_k},min_p={options.min_p}"

    async def start(self) -> None:
        """Fetches the embedded weights if need be, and loads. Raises `RunError`."""
        path = await weights.embedded_weights() if self._model == EMBEDDED else self._given()
        import xllamacpp

        try:
            self._server.append(xllamacpp.Server(self._parameters(xllamacpp.CommonParams(), path)))
        except (RuntimeError, ValueError) as error:
            reason = await _why(path, self._options.context) or str(error)
            raise RunError(UnloadableModel(path=str(path), reason=reason)) from None
        self._threads = ThreadPoolExecutor(self._options.slots, "llamacpp")

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        """Draws all completions at once, as far as slots are free."""
        try:
            async with asyncio.TaskGroup() as group:
                runs = consecutive(request.seeds, self._options.slots)
                tasks = [group.create_task(self._draw(request, seed, n)) for seed, n in runs]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return tuple(completion for task in tasks for completion in task.result())

    async def close(self) -> None:
        """Stops what is being decoded and frees the model."""
        threads, self._threads = self._threads, None
        for draft in self._drafts:
            draft.stopped.set()
        if threads is not None:
            await asyncio.get_running_loop().run_in_executor(None, threads.shutdown)
        self._server.clear()

    def _given(self) -> Path:
        path = Path(self._model).expanduser()
        if not path.is_file():
            raise RunError(MissingModel(path=str(path)))
        return path

    def _parameters(self, params: Any, path: Path) -> Any:
        """Fills llama.cpp's parameters."""
        options = self._options
        params.model.path = str(path)
        params.n_parallel = options.slots
        params.n_ctx = options.slots * options.context
        params.verbosity = 0
        params.warmup = False
        # A cancelled call is noticed between two batches of its prompt, so they are short.
        params.n_batch = params.n_ubatch = 256
        # States of past prompts in main memory: up to 8 GiB by default, for hits that a run of archc hardly has.
        params.cache_ram_mib = 0
        # Trying out how many layers fit the GPU loads the model twice; the embedded one fits everywhere.
        params.fit_params = self._model != EMBEDDED
        if options.threads is not None:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
        if options.gpu_layers is not None:
            params.n_gpu_layers = options.gpu_layers
        # The binding always listens on a port of the loopback interface. Nobody has this key.
        params.api_keys = [secrets.token_hex(32)]
        params.n_threads_http = 1
        params.ui = params.endpoint_slots = False
        return params

    async def _draw(self, request: Request, seed: int, n: int) -> list[Completion]:
        """The completions of the seeds `seed` … `seed + n - 1`, decoded on one thread."""
        async with self._taking(n):
            if self._threads is None:
                raise CallError(FailureKind.CONNECTION, "the model is not loaded")
            draft = Draft([Growing() for _ in range(n)])
            self._drafts.add(draft)
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._threads, draft.decode, self._server[0], self._body(request, seed, n))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                draft.stopped.set()
                await asyncio.wait({work})
                raise
            finally:
                self._drafts.discard(draft)
        return draft.completions(request.labels)

    @asynccontextmanager
    async def _taking(self, n: int) -> AsyncIterator[None]:
        """Holds `n` slots, first come, first served: what waits here can be cancelled at once."""
        taken = 0
        try:
            async with self._turn:
                while taken < n:
                    await self._free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._free.release()

    def _body(self, request: Request, seed: int, n: int) -> dict[str, Any]:
        """The request as llama.cpp's chat endpoint takes it. Raises `CallError` for a schema that isn't JSON."""
        sampling, options = request.sampling, self._options
        body: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": options.top_k,
            "min_p": options.min_p,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop),
            "seed": seed,
            "n": n,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
        }
        if request.continues:
            body["reasoning_format"] = "none"  # else thoughts would be taken out of what it writes
        if request.logprobs or request.labels:
            body |= {"logprobs": True, "top_logprobs": LIKELIEST if request.labels else 1}
        if request.schema is not None:
            try:
                schema = json.loads(request.schema)
            except ValueError as error:
                raise CallError(FailureKind.BAD_REQUEST, f"the schema is not JSON: {error}") from None
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        return body


def consecutive(seeds: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Splits seeds into runs `(first, n)` of at most `most` that rise by one."""
    runs: list[tuple[int, int]] = []
    for seed in seeds:
        if runs and runs[-1][1] < most and seed == sum(runs[-1]):
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((seed, 1))
    return runs


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _why(path: Path, context: int) -> str:
    """llama.cpp says why it can't load a file only to standard error: so asked again, in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-c", _PROBE, str(path), str(context)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    errors = [line.split(" E ", 1)[1] for line in said.decode(errors="replace").splitlines() if " E " in line]
    return " ".join(errors[0].split())[:300] if errors else ""
