"""Engine options: how vLLM runs a model, in this process or as a server that `archc up` starts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from archc.calls import BackendOptions


class EngineOptions(BackendOptions):
    """Options of vLLM's engine; whatever is not given is as vLLM chooses."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """The type of the weights; by default as they were saved."""
    tensor_parallel: PositiveInt = 1
    """GPUs that share the model."""
    max_len: PositiveInt | None = None
    """Tokens per sequence, prompt and completion together; as long as the model's makers say by default."""
    gpu_memory: Annotated[float, Field(gt=0, le=1)] | None = None
    """The part of each GPU's memory to use; on a processor it counts of main memory."""
    quantization: Annotated[str, Field(pattern="^[a-z0-9_]+$")] | None = None
    """How the weights are packed (`fp8`, `awq`, …), where they do not say it themselves."""
    eager: bool = False
    """Whether to start without compiling the model first: faster to begin, slower to decode."""

    def arguments(self) -> dict[str, Any]:
        """As vLLM's engine takes them; what is not given is not there."""
        given = {
            "dtype": self.dtype,
            "tensor_parallel_size": self.tensor_parallel,
            "max_model_len": self.max_len,
            "gpu_memory_utilization": self.gpu_memory,
            "quantization": self.quantization,
            "enforce_eager": self.eager or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def flags(self) -> list[str]:
        """As `vllm serve` takes them on its command line, without those that say what it does anyway."""
        usual = EngineOptions().arguments()
        told = [(f"--{n.replace('_', '-')}", v) for n, v in self.arguments().items() if usual.get(n) != v]
        return [word for flag, value in told for word in ([flag] if value is True else [flag, f"{value}"])]
