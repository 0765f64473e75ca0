"""The same campaign, guided by what the inputs cover in archc. Needs `pip install atheris`.

python -m tests.fuzz.guided arch 100000 FOLDER      FOLDER holds the inputs that cover something new, and grows
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["archc"]):
    from tests.fuzz.campaign import Campaign
    from tests.fuzz.mutation import mutated
    from tests.fuzz.seeds import seeds


def main() -> None:
    target, runs, corpus = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    campaign = Campaign(target, Path("fuzz-found"))
    corpus.mkdir(parents=True, exist_ok=True)
    pool = seeds()[target]
    for data in pool:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def one(data: bytes) -> None:
        campaign.one(data)
        if campaign.stages.total() % 10_000 == 0 or campaign.stages.total() == runs:
            campaign.report(time.process_time())

    def changed(data: bytes, size: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, size))
        return mutated(rng, [data, data, data, rng.choice(pool)])[:size]

    words = ["fuzz", f"-runs={runs}", "-max_len=8192", "-len_control=0", "-verbosity=0", str(corpus)]
    atheris.Setup(words, one, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
