"""A fault campaign: scenes with random specs, limits and faults, until so many faults were injected.

python -m tests.faults.campaign --faults 10000 --seed 1     prints what each fault led to
python -m tests.faults.campaign --scene 1000017             plays one scene again
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from tests.faults.bodies import FAULTS
from tests.faults.checker import check
from tests.faults.patient import run
from tests.faults.scenes import Scene, Setting, Wrap, bare, play

SHARED_MEMORY = Path("/dev/shm")
"""Where files cost no disk: the campaign is about the network."""


@dataclass
class Campaign:
    """The sums over all scenes."""

    scenes: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    attempts: int = 0
    refused: int = 0
    """Connections to where nobody listens."""
    broken: dict[int, list[str]] = field(default_factory=dict)
    """Broken promises by the seed of the scene."""

    @property
    def faults(self) -> int:
        return self.injected.total()

    def add(self, scene: Scene, broken: list[str]) -> None:
        self.scenes += 1
        self.injected += scene.server.injected
        self.table += scene.table
        attempts = scene.disturbed.attempts
        self.attempts += len(attempts)
        self.refused += sum(a.outcome == "connection" and not a.charged for a in attempts)
        if broken:
            self.broken[scene.setting.seed] = broken

    def rows(self) -> list[str]:
        """A line for each fault."""
        lines = [f"{'fault':<34} {'injected':>8}  outcomes of its attempts"]
        for fault in FAULTS:
            outcomes = {outcome: n for (name, outcome), n in self.table.most_common() if name == fault}
            said = ", ".join(f"{outcome} {n}" for outcome, n in outcomes.items())
            lines.append(f"{fault:<34} {self.injected[fault]:>8}  {said}")
        return [*lines, f"{'connection refused':<34} {self.refused:>8}  connection {self.refused}"]


def played(setting: int | Setting, within: Wrap = bare, around: Wrap = bare) -> tuple[Scene, list[str]]:
    """A scene and its broken promises, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        scene = run(play(setting, Path(folder), within, around))
        return scene, check(scene)


def campaign(faults: int, seed: int, without: Collection[str] = ()) -> Campaign:
    """So many faults, but none of those in `without`."""
    sums = Campaign()
    for number in count(seed * 1_000_000):
        setting = Setting.of(number)
        mix = tuple(fault for fault in setting.mix if fault not in without)
        sums.add(*played(replace(setting, mix=mix or ("502",))))
        if sums.faults >= faults:
            break
    return sums


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], choices=FAULTS, metavar="FAULT")
    parser.add_argument("--scene", type=int)
    given = parser.parse_args()
    began = time.monotonic()
    sums = Campaign()
    if given.scene is None:
        sums = campaign(given.faults, given.seed, given.without)
    else:
        scene, broken = played(given.scene)
        print(scene.setting)
        sums.add(scene, broken)
    print("\n".join(sums.rows()))
    for seed, broken in sums.broken.items():
        print(f"\nscene {seed}:", *broken, sep="\n  ")
    seconds = time.monotonic() - began
    print(
        f"\n{sums.faults:,} faults in {sums.attempts:,} attempts of {sums.scenes:,} scenes, {seconds:.0f} s: "
        f"{len(sums.broken)} scenes with broken promises"
    )
    raise SystemExit(bool(sums.broken))


if __name__ == "__main__":
    main()
