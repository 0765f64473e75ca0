"""Options of the test run, and a cache folder of its own, so that nothing depends on what the user's holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from archc.backends.weights import weights_path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-cases", action="store_true", help="rewrite tests/cases/ with what archc says now")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Only the embedded model's weights are shared: they are large and always the same."""
    weights = weights_path().parent
    weights.mkdir(parents=True, exist_ok=True)
    cache: Path = tmp_path_factory.mktemp("cache")
    (cache / "weights").symlink_to(weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "ARCHC_CACHE", str(cache))
        yield
