"""What the campaigns found, again, and a short one of every target."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.campaign import Campaign, an_input
from tests.fuzz.targets import TARGETS

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: str(path.name))
def test_what_was_found_is_mended(path: Path) -> None:
    TARGETS[path.suffix[1:]](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_campaign_finds_nothing(target: str, tmp_path: Path) -> None:
    campaign = Campaign(target, tmp_path)
    rng = Random(f"short {target}")
    for _ in range(150):
        campaign.one(an_input(rng, target, []))

    wrong = {what for what in campaign.found if what != "slow"}  # how long it takes is for the campaign to say
    assert wrong == set(), [path.read_bytes() for path in tmp_path.iterdir()]
