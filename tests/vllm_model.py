"""Makes the model that vLLM is tested with: the embedded one, from its GGUF file, as a folder that vLLM loads.

.venv-vllm/bin/python -m tests.vllm_model FOLDER
"""

from __future__ import annotations

import asyncio
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from archc.backends.weights import embedded_weights


def main(folder: str) -> None:
    """A plain Llama in bfloat16: what is read from GGUF is marked as quantised, which vLLM would not load."""
    weights = asyncio.run(embedded_weights())
    read = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name)
    plain = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**plain))
    model.load_state_dict(read.state_dict())
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
