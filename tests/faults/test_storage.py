"""A journal that is cut, scribbled over or out of room: what was committed is there or known to be lost, never wrong.

`python -m tests.faults.test_storage CUTS FLIPS` is the long form.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import apsw
import pytest

from archc.calls import NOTHING, Completion, Spend, Usage
from archc.diagnostics import RunError
from archc.runtime import upkeep
from archc.runtime.journal import Journal, opened
from archc.runtime.records import Attempt, Outcome

SAMPLES = 60
Image = dict[str, bytes]


def key(number: int) -> str:
    return f"{number:064x}"


def text(number: int) -> Completion:
    return Completion(f"sample {number} " * (1 + number % 40), usage=Usage(number, 2 * number))


async def buy(journal: Journal, number: int) -> None:
    attempt = Attempt("run", "q", "generate", "m", (), Spend(1, 1, 1), (key(number),))
    claim = await journal.reserve(attempt)
    await journal.settle(claim, Outcome("ok", NOTHING, {key(number): text(number)}, "model"))


def crashed(folder: Path) -> Image:
    """The files of a journal in which samples were bought one after the other, as a power cut leaves them."""

    async def main() -> Image:
        journal = Journal(folder / "j")
        for number in range(SAMPLES):
            await buy(journal, number)
        image = {name: (folder / name).read_bytes() for name in ("j", "j-wal")}
        journal.close()
        return image

    return asyncio.run(main())


def found(folder: Path, image: Image) -> list[Completion | None]:
    """What a journal with these files gives for each sample."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)
    with opened(folder / "j") as store:
        return [store.find([key(number)]).get(key(number)) for number in range(SAMPLES)]


def is_prefix(samples: list[Completion | None]) -> bool:
    """Whether it is what had been committed at some moment."""
    until = samples.index(None) if None in samples else SAMPLES
    return samples == [text(number) for number in range(until)] + [None] * (SAMPLES - until)


def cut(folder: Path, cuts: int) -> int:
    """Cuts the log at every frame, and at random offsets; how many cuts there were."""
    image = crashed(folder)
    log = image["j-wal"]
    frame = 24 + int.from_bytes(log[8:12])
    rng = random.Random(1)
    offsets = [32 + frame * i + near for i in range((len(log) - 32) // frame + 1) for near in (-1, 0, 1)]
    offsets += [rng.randrange(len(log)) for _ in range(cuts)]
    for offset in offsets:
        assert is_prefix(found(folder, image | {"j-wal": log[:offset]})), offset
    return len(offsets)


def flip(folder: Path, flips: int) -> dict[str, int]:
    """Flips a bit of the log, which leaves what was committed before; and one of the file, which may lose samples."""
    image, rng = crashed(folder), random.Random(2)
    with opened(folder / "j") as store:
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = {"j": (folder / "j").read_bytes()}
    counts = {"whole": 0, "lost": 0, "refused": 0}
    for _ in range(flips):
        assert is_prefix(found(folder, image | {"j-wal": flipped(image["j-wal"], rng)}))
        try:
            samples = found(folder, {"j": flipped(whole["j"], rng)})
        except (RunError, apsw.Error):  # which the journal turns into a diagnostic
            counts["refused"] += 1
        else:
            assert all(sample in (None, text(number)) for number, sample in enumerate(samples))
            counts["lost" if None in samples else "whole"] += 1
    return counts


def flipped(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def test_a_log_that_is_cut_anywhere_leaves_what_was_committed_before(tmp_path: Path) -> None:
    assert cut(tmp_path, 100) > 300


def test_a_bit_that_flips_loses_samples_but_changes_none(tmp_path: Path) -> None:
    counts = flip(tmp_path, 150)
    assert counts["whole"]
    assert counts["lost"] + counts["refused"]


FILLS = """
import asyncio, resource, sys
from pathlib import Path
from archc.diagnostics import RunError
from archc.runtime.journal import Journal
from tests.faults.test_storage import buy

async def main():
    journal = Journal(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    try:
        for number in range(100_000):
            await buy(journal, number)
            print(number, flush=True)
    except RunError as error:
        print(error.diagnostic.name, flush=True)
    journal.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("room", [500_000, 2_000_000])
def test_where_there_is_no_more_room_it_stops_cleanly_and_keeps_what_it_had(room: int, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", FILLS, str(tmp_path / "j"), str(room)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    *bought, last = done.stdout.split()

    assert last == "bad-journal", done.stderr
    assert bought == [str(number) for number in range(len(bought))]
    assert len(bought) > 10
    with opened(tmp_path / "j") as store:
        assert all(store.find([key(number)]) == {key(number): text(number)} for number in range(len(bought)))
        assert upkeep.verify(store).problems == ()
        assert upkeep.verify(store).damaged == ()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"cuts": cut(Path(folder), int(sys.argv[1])), "flips": flip(Path(folder), int(sys.argv[2]))}))
