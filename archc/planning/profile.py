"""Profile: how fast a model answers, as it was measured (`archc profile`); kept in the user's cache folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from archc.ir.graph import Model

KNEE = 0.9
"""From this part of the greatest rate on, more requests at once only wait for each other."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take while so many requests are under way."""

    concurrency: int
    prompt_token: float
    """Seconds that a request waits for each token of its prompt."""
    token: float
    """Seconds from one token that it writes to the next."""

    def seconds(self, prompt: float, completion: float) -> float:
        """How long one request takes."""
        return prompt * self.prompt_token + completion * self.token

    def __mul__(self, factor: float) -> Pace:
        return replace(self, prompt_token=self.prompt_token * factor, token=self.token * factor)


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured of one model. `paces` are by rising concurrency, one at least."""

    paces: tuple[Pace, ...]
    cache_gain: float = 0.0
    """The part of a prompt's time that is saved where the prefix cache has it."""
    gpu_hour: float | None = None
    """What an hour of what serves it costs, in USD."""

    def at(self, concurrency: float) -> Pace:
        """The pace with so many requests at once: between two that were measured, in a straight line."""
        first, last = self.paces[0], self.paces[-1]
        if concurrency <= first.concurrency:
            return first
        for low, high in pairwise(self.paces):
            if concurrency <= high.concurrency:
                part = (concurrency - low.concurrency) / (high.concurrency - low.concurrency)
                at = low.prompt_token + part * (high.prompt_token - low.prompt_token)
                return Pace(round(concurrency), at, low.token + part * (high.token - low.token))
        # Nobody has seen more at once: they can only share what there is.
        return replace(last * (concurrency / last.concurrency), concurrency=round(concurrency))

    @property
    def knee(self) -> Pace:
        """The least concurrency that keeps the server busy: more only queue."""
        most = max(pace.concurrency / pace.token for pace in self.paces)
        return next(pace for pace in self.paces if pace.concurrency / pace.token >= KNEE * most)

    def usd(self, prompt: float, completion: float) -> float | None:
        """What so many tokens cost on a server that is kept busy, by the hour."""
        if self.gpu_hour is None:
            return None
        return self.knee.seconds(prompt, completion) / self.knee.concurrency * self.gpu_hour / 3600


def recall(model: Model, folder: Path) -> Profile | None:
    """What was measured of a model, if anything was."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads(_file(model, folder).read_text(encoding="utf-8"))
        paces = tuple(_paces(told["paces"]))
        return Profile(**{**told, "paces": paces}) if paces else None
    return None


def _paces(told: list[dict[str, float]]) -> Iterator[Pace]:
    for one in told:
        pace = Pace(int(one["concurrency"]), float(one["prompt_token"]), float(one["token"]))
        if not (pace.concurrency >= 1 and pace.prompt_token > 0 and pace.token > 0):
            raise ValueError("no pace")
        yield pace


def keep(model: Model, profile: Profile, folder: Path) -> Path:
    """Writes it down. Raises OSError."""
    path = _file(model, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(profile)), encoding="utf-8")
    return path


def _file(model: Model, folder: Path) -> Path:
    """By where the model is and how it is run, whatever a spec calls it."""
    named = json.dumps([model.shared.backend, model.shared.model, model.options.model_dump_json()])
    return folder / "profiles" / f"{sha256(named.encode()).hexdigest()[:32]}.json"
