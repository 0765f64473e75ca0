"""What is measured of a model, and what follows for a plan."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import archc
from archc import api
from archc.calls import Backend, BackendOptions, Capabilities, Completion, KeyFor, Request, Usage
from archc.cli import main
from archc.fleet.measure import Meter
from archc.planning.latency import predict
from archc.planning.profile import Pace, Profile, keep, recall
from archc.source import Source

MODELS = "models: {{m: {{backend: simulated, model: m, concurrency: {concurrency}}}}}\npipeline:\n"


def plan_of(steps: str, concurrency: int = 64) -> archc.Plan:
    source = Source("a.yaml", MODELS.format(concurrency=concurrency) + steps)
    return archc.compile(source, environ={}, question_tokens=20)


def flat(*concurrencies: int, token: float = 0.01, **options: Any) -> Profile:
    """Of a server that has room for all."""
    return Profile(tuple(Pace(c, 0.001, token) for c in concurrencies or (1,)), **options)


def seconds(steps: str, profile: Profile, concurrency: int = 64) -> tuple[float, float]:
    found = predict(plan_of(steps, concurrency), {"m": profile})
    assert found
    return found.seconds


# ---- measuring


class Server(Backend):
    """A server in virtual time: reads 1,000 tokens a second, writes 50, and can do four things at once.

    More at once slow each other down. A prompt that it has read before takes no time.
    """

    Options = BackendOptions
    capabilities = Capabilities(n=True)

    def __init__(self, model: str = "m", options: Any = None, key_for: KeyFor | None = None) -> None:
        self.now = 0.0
        self.waiting: list[tuple[Request, asyncio.Future[float]]] = []
        self.read: set[str] = set()
        self.most = 0

    @property
    def fingerprint(self) -> str:
        return "virtual"

    def clock(self) -> float:
        return self.now

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_soon(lambda: loop.call_soon(self._serve))  # when all are there that come at once
        ended: asyncio.Future[float] = loop.create_future()
        self.waiting.append((request, ended))
        text = request.messages[0].content
        self.now = await ended
        self.read.add(text)
        return (Completion("1", usage=Usage(self._tokens(text), request.sampling.max_tokens)),)

    def _tokens(self, text: str) -> int:
        return len(text) // 4

    def _serve(self) -> None:
        slower = max(1.0, len(self.waiting) / 4)
        self.most = max(self.most, len(self.waiting))
        for request, ended in self.waiting:
            text = request.messages[0].content
            reading = 0 if text in self.read else self._tokens(text) / 1000
            ended.set_result(self.now + slower * (reading + request.sampling.max_tokens / 50))
        self.waiting = []


def measured(most: int) -> tuple[Profile, Server]:
    server = Server()
    meter = Meter(server, server.clock, lambda _: None)
    return asyncio.run(meter.profile(most, 3.6)), server


def test_the_speeds_of_a_server_are_found() -> None:
    profile, server = measured(16)
    assert [pace.concurrency for pace in profile.paces] == [1, 2, 4, 8, 16]
    assert server.most == 16
    for pace in profile.paces:
        slower = max(1.0, pace.concurrency / 4)
        assert pace.prompt_token == pytest.approx(0.001 * slower, rel=0.005)
        assert pace.token == pytest.approx(0.02 * slower, rel=0.005)
    assert profile.knee.concurrency == 4
    assert profile.cache_gain > 0.8
    # 200 tokens a second at the knee, and 0.001 USD a second
    assert profile.usd(0, 200) == pytest.approx(0.001, rel=0.02)


def test_no_more_at_once_is_measured_than_was_asked_for() -> None:
    profile, server = measured(6)
    assert [pace.concurrency for pace in profile.paces] == [1, 2, 4, 6]
    assert server.most == 6


# ---- between and beyond what was measured


def test_the_pace_between_two_measurements_lies_on_a_line_and_beyond_them_all_share() -> None:
    profile = Profile((Pace(1, 0.001, 0.01), Pace(4, 0.002, 0.04)))
    assert profile.at(1) == profile.at(0.5) == profile.paces[0]
    assert profile.at(2.5).token == pytest.approx(0.025)
    assert profile.at(8).token == pytest.approx(0.08)
    assert profile.at(8).prompt_token == pytest.approx(0.004)


# ---- a plan


def test_steps_that_wait_for_each_other_add_up() -> None:
    one = "  - generate: {model: m, max_tokens: 100}\n"
    low, high = seconds(one, flat())
    assert low == high
    assert 1.0 < high < 1.2  # 100 tokens at 0.01 s, and the prompt
    assert seconds(one + "  - fuse: {model: m, max_tokens: 100}\n", flat())[1] > 2 * high


def test_samples_that_may_be_enough_early_take_less_at_least_and_as_long_at_most() -> None:
    some = "  - generate: {model: m, n: 32, batch: 4, max_tokens: 100}\n  - extract: {kind: number}\n"
    whole, least = seconds(some, flat(), concurrency=4), seconds(some + "  - vote\n", flat(), concurrency=4)
    assert least[0] == pytest.approx(whole[0] / 2)  # 16 of 32 alike have won
    assert least[1] == whole[1]


def test_what_is_done_at_once_takes_as_long_as_the_longest() -> None:
    both = "  - - generate: {model: m, max_tokens: 100}\n    - generate: {model: m, max_tokens: 300}\n"
    branches = f"{both}  - extract: number\n  - vote\n"
    alone = seconds("  - generate: {model: m, max_tokens: 300}\n", flat())
    assert seconds(branches, flat()) == alone


def test_more_calls_than_may_be_under_way_come_in_waves() -> None:
    steps = "  - generate: {model: m, n: 8, max_tokens: 100}\n  - extract: number\n  - vote\n"
    at_once, in_waves = seconds(steps, flat(1, 8))[1], seconds(steps, flat(1, 8), concurrency=2)[1]
    assert in_waves == pytest.approx(4 * at_once, rel=0.01)


def test_a_slower_server_under_load_is_told() -> None:
    steps = "  - generate: {model: m, n: 8, max_tokens: 100}\n  - extract: number\n  - vote\n"
    loaded = Profile((Pace(1, 0.001, 0.01), Pace(8, 0.008, 0.08)))
    assert seconds(steps, loaded)[1] > 7 * seconds(steps, flat(1, 8))[1]


def test_a_loop_may_end_early() -> None:
    do = "[generate: {model: m, max_tokens: 100}, extract: number]"
    block = f"  - until: {{condition: 'agreement >= 50%', max: 5, batch: 1, do: {do}}}\n"
    low, high = seconds(block, flat())
    assert high == pytest.approx(5 * low, rel=0.01)


def test_without_a_measurement_of_each_model_nothing_is_said() -> None:
    plan = plan_of("  - generate: m\n")
    assert predict(plan, {}) is None
    assert "measured" not in api.explain(plan)


# ---- the file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHC_CACHE", str(tmp_path))
    return tmp_path


def test_what_was_kept_is_found_by_what_the_model_is(cache: Path) -> None:
    plan, profile = plan_of("  - generate: m\n"), flat(1, 4, cache_gain=0.5, gpu_hour=2.0)
    file = keep(plan.graph.model("m"), profile, cache)
    assert recall(plan.graph.model("m"), cache) == profile
    again = api.predicted(plan_of("  - generate: {model: m, n: 3}\n", concurrency=7))
    assert again
    assert again.profiles == {"m": profile}
    for text in ("", "[]", '{"paces": []}', '{"paces": [{"concurrency": 1, "prompt_token": -1, "token": 1}]}'):
        file.write_text(text)
        assert recall(plan.graph.model("m"), cache) is None


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_profile_and_explain_at_the_prompt(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = cache / "spec.yaml"
    spec.write_text(
        MODELS.format(concurrency=64)
        + "  - generate: {model: m, n: 4, max_tokens: 64}\n  - extract: number\n  - vote\n"
    )
    said = told(["profile", str(spec), "--most", "2", "--gpu-hour", "3.5"], capsys)
    assert re.search(r"^m: alone [\d,]+ tokens/s read", said)
    said = told(["explain", str(spec)], capsys)
    assert "s a question, if every answer is as long as it may be" in said
    assert "USD at most, by the hour" in said
    predicted: Mapping[str, Any] = json.loads(told(["explain", str(spec), "--json"], capsys))["predicted"]
    assert predicted["seconds"][0] <= predicted["seconds"][1]
    assert predicted["saturating_concurrency"]["m"] in (1, 2)
