"""vllm: vLLM's engine in this process, on this machine's GPUs; `archc up` runs it as servers instead."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from archc.backends._engine import EngineOptions
from archc.backends._labels import LIKELIEST, said
from archc.backends._openai_reply import is_too_long
from archc.backends.llamacpp import consecutive
from archc.calls import (
    Backend,
    CallError,
    Capabilities,
    Completion,
    FailureKind,
    Finish,
    KeyFor,
    Request,
    Usage,
)
from archc.diagnostics import RunError
from archc.errors import MissingExtra, UnloadableEngine

_QUIET: Mapping[str, str] = {
    # Standard output holds answers; and nobody asked for reports to vLLM's makers.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}


class VLLM(Backend):
    """Decodes whatever is asked, all together: requests join the running batch when they come.

    A request for several completions reads its prompt once. A cancelled one leaves the batch with the next step. Code
    that comes with a model's weights is never run.
    """

    class Options(EngineOptions):
        """Options of vLLM."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        continuation=True, n=True, logprobs=True, schema=True, seed=True
    )

    def __init__(self, model: str, options: Options, key_for: KeyFor) -> None:
        self._model = model
        self._options = options
        self._engine: Any = None
        self._tokenizer: Any = None
        self._numbers = itertools.count()

    @classmethod
    def known(cls, model: str, options: Options) -> Capabilities:
        return replace(cls.capabilities, context=options.max_len)

    @property
    def fingerprint(self) -> str:
        """The model's name, or the files of its folder, and the options that change answers."""
        options, folder = self._options, Path(self._model).expanduser()
        which = self._model
        if folder.is_dir():
            about = [[f.name, (s := f.stat()).st_size, s.st_mtime_ns] for f in sorted(folder.iterdir())]
            which = hashlib.sha256(repr(about).encode()).hexdigest()
        return f"vllm:{which}:dtype={options.dtype},max_len={options.max_len},quantization={options.quantization}"

    async def start(self) -> None:
        """Loads the model, which may take minutes. Raises `RunError`."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import vllm.platforms
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            module = error.name or "vllm"
            raise RunError(MissingExtra(feature="the backend `vllm`", module=module, extra="vllm")) from None
        if not vllm.platforms.current_platform.device_type:
            self._refuse("vLLM finds no GPU that it can use", _NO_GPU)
        try:
            given = self._options.arguments()
            arguments = AsyncEngineArgs(model=self._model, enable_log_requests=False, disable_log_stats=True, **given)
            self._engine = await asyncio.to_thread(AsyncLLM.from_engine_args, arguments)
            self._tokenizer = self._engine.get_tokenizer()
        except (RuntimeError, ValueError, OSError, ImportError) as error:
            self._refuse(" ".join(str(error).split())[:300] or type(error).__name__, _UNLOADABLE)

    def _refuse(self, reason: str, hint: str) -> None:
        raise RunError(UnloadableEngine(model=self._model, reason=reason, hint=hint)) from None

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        if self._engine is None:
            raise CallError(FailureKind.CONNECTION, "the model is not loaded")
        prompt = self._prompt(request)
        try:
            async with asyncio.TaskGroup() as group:
                # The likeliest text is one: vLLM refuses to give it several times.
                runs = consecutive(request.seeds, 1 if request.sampling.temperature == 0 else request.n)
                tasks = [group.create_task(self._draw(request, prompt, seed, n)) for seed, n in runs]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return tuple(completion for task in tasks for completion in task.result())

    def _prompt(self, request: Request) -> list[int]:
        """The conversation in the model's own form, as tokens."""
        turns = [{"role": m.role, "content": m.content} for m in request.messages]
        try:
            goes_on = request.continues
            text = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
            )
            return list(self._tokenizer.encode(text, add_special_tokens=False))
        except Exception as error:  # noqa: BLE001 - a template is a program of the model's makers
            reason = f"the chat template of `{self._model}` fails: {error}"
            raise CallError(FailureKind.BAD_REQUEST, reason) from None

    async def _draw(self, request: Request, prompt: list[int], seed: int, n: int) -> list[Completion]:
        """The completions of the seeds `seed` … `seed + n - 1`: vLLM counts on from the first."""
        name, last = f"archc-{next(self._numbers)}", None
        try:
            parameters = self._parameters(request, seed, n)
            async for output in self._engine.generate({"prompt_token_ids": prompt}, parameters, name):
                last = output
        except Exception as error:  # noqa: BLE001 - vLLM's errors have no common class
            raise self._failure(error) from None
        if last is None or len(last.outputs) < n:
            raise CallError(FailureKind.BAD_RESPONSE, "vLLM gave fewer completions than it was asked for")
        used = Usage(prompt=len(prompt), cached=min(last.num_cached_tokens or 0, len(prompt)))
        drawn = sorted(last.outputs, key=lambda one: one.index)
        return [self._completion(one, Usage() if i else used, request.labels) for i, one in enumerate(drawn)]

    def _parameters(self, request: Request, seed: int, n: int) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        sampling = request.sampling
        return SamplingParams(
            n=n,
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            logprobs=LIKELIEST if request.labels else 0 if request.logprobs else None,
            structured_outputs=StructuredOutputsParams(json=request.schema) if request.schema else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _completion(self, drawn: Any, prompt: Usage, labels: Sequence[str]) -> Completion:
        if drawn.finish_reason not in ("stop", "length"):
            raise CallError(FailureKind.BAD_RESPONSE, f"vLLM broke off: {drawn.finish_reason}")
        finish = Finish.LENGTH
        if drawn.finish_reason == "stop":
            finish = Finish.STOP if isinstance(drawn.stop_reason, str) else Finish.EOS
        tokens, total = len(drawn.token_ids), drawn.cumulative_logprob
        mean = total / tokens if total is not None and tokens else None
        first = drawn.logprobs[0].values() if labels and drawn.logprobs else ()
        text, logprob = said(drawn.text, mean, labels, ((one.decoded_token or "", one.logprob) for one in first))
        return Completion(text, finish, replace(prompt, completion=tokens), logprob)

    def _failure(self, error: Exception) -> CallError:
        said = re.sub(r"\s+", " ", str(error))[:300] or type(error).__name__
        if self._engine is None or self._engine.errored:
            return CallError(FailureKind.CONNECTION, f"vLLM's engine has stopped: {said}")
        if is_too_long(said):
            return CallError(FailureKind.CONTEXT_LENGTH, f"vLLM refuses the request: {said}")
        if isinstance(error, (ValueError, TypeError)) or "ClientError" in str(type(error).__mro__):
            return CallError(FailureKind.BAD_REQUEST, f"vLLM refuses the request: {said}")
        return CallError(FailureKind.OVERLOAD, f"vLLM failed: {said}")

    async def close(self) -> None:
        """Stops the engine and its processes, and frees the GPUs."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.to_thread(engine.shutdown)


_NO_GPU = "use `backend: llamacpp` here, or `backend: openai` with the address of a machine that has one"
_UNLOADABLE = "give a model's name on Hugging Face or its folder; if memory is short, lower `max_len` or `gpu_memory`"
