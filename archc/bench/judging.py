"""Judging: which of two answers a judge prefers, asked in both orders, through the same runtime as all else."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, Self

from archc import api, errors
from archc.bench.data import Item, records_of, texts
from archc.bench.graders import Grade
from archc.bench.task import Task
from archc.calls import NOTHING, Message, Spend
from archc.diagnostics import RunError, SpecError
from archc.planning.plan import Plan
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, read_reply
from archc.prompts.template import fill, read_templates
from archc.runtime.batch import run_key
from archc.runtime.engine import Engine
from archc.runtime.session import Session
from archc.runtime.trace import Event, Listener
from archc.source import Source
from archc.spec.model import Budget
from archc.values import Interval

_SPEC: Final = """models: {judge: {backend: simulated, model: judge}}
pipeline: [generate: {model: judge, temperature: 0.0}]
"""
_PROMPTS: Final = read_templates(Path(__file__).with_suffix(".txt")).prompts
_ORDERS: Final = ("as first", "as second")
_AGAIN: Final = " again"
"""What the ids of a judge's queries have behind the item's."""
_TURNS: Final = "\n\n---\n\n"
"""Between the turns of one conversation."""


class Comparison(Reply):
    """Which answer is better, and why."""

    explanation: str = ""
    better: Literal["1", "2", "tie"]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads a reply that is one label and nothing else."""
        label = text.strip("[]*. \n\"'").lower()
        return cls(better=label) if label in ("1", "2", "tie") else None


_WORTH: Final = {"1": 1.0, "tie": 0.5, "2": 0.0}


@dataclass(frozen=True)
class Judge:
    """Who compares, and with which answers."""

    plan: Plan
    rival: Mapping[str, tuple[str, ...]]
    """The other answer by the item's id, turn by turn."""
    source: str
    """Where these answers are from."""
    seed: int = 0
    journal: Path | None = None
    budget: Budget | None = None
    listeners: Sequence[Listener] = ()

    @property
    def calls(self) -> Interval:
        """What it takes to compare one answer: a call in each order, and another where nobody can read what it said."""
        return Interval(len(_ORDERS), 2 * len(_ORDERS))

    @property
    def key(self) -> str:
        """Names what its verdicts depend on."""
        rival = sha256(json.dumps(sorted(self.rival.items())).encode("utf-8", "backslashreplace")).hexdigest()
        return f"{run_key(self.plan, self.seed)} {rival}"


def judge_for(task: Task, items: Sequence[Item], model: str, versus: Path | None, seed: int) -> Judge | None:
    """Who compares answers to these items, where the task wants that; `model` is an entry as in a spec.

    Raises SpecError if one of the two is missing, is not what it should be, or is there for nothing.
    """
    if task.grader != "preference":
        if model or versus:
            raise SpecError(errors.NeedlessJudge(task=task.name))
        return None
    if not model or versus is None:
        raise SpecError(errors.NoJudge(task=task.name))
    plan = api.compile(Source("--judge", _SPEC), overrides=[f"models.judge={model}"])
    rival = rival_answers(versus)
    lacking = [item.id for item in items if len(rival.get(item.id, ())) < 1 + len(item.turns)]
    if lacking:
        raise SpecError(errors.NoRival(path=str(versus), lacking=len(lacking), of=len(items), first=lacking[0]))
    return Judge(plan, rival, str(versus), seed)


def rival_answers(path: Path) -> dict[str, tuple[str, ...]]:
    """The answers of a run's folder, or of a JSONL file with `id` and `answer`, turn by turn. Raises SpecError."""
    file = path / "items.jsonl" if path.is_dir() else path
    found: dict[str, tuple[str, ...]] = {}
    for record in records_of(file)[1]:
        said = texts(record.get("turns") or record.get("text") or record.get("answer"))
        if "id" in record and said:
            found[str(record["id"])] = tuple(said)
    return found


class Judging:
    """A judge at work; use it as `async with Judging(judge, name) as judging`."""

    def __init__(self, judge: Judge, name: str, engine: Engine | None = None) -> None:
        """`name` goes on with what the judge has spent; in an `engine` that one's journal and budget hold."""
        self._rival = judge.rival
        self._spent: dict[str, Spend] = defaultdict(lambda: NOTHING)
        self._session: Session = api.session(
            judge.plan,
            seed=judge.seed,
            journal=judge.journal,
            budget=judge.budget,
            listeners=(self._count, *judge.listeners),
            name=name,
            engine=engine,
        )
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Raises RunError if the judge's backend cannot be started."""
        await self._open.enter_async_context(self._session)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the session."""
        await self._open.aclose()

    async def end(self) -> None:
        """Says that all is judged."""
        await self._session.end()

    def _count(self, event: Event) -> None:
        if event["event"] in ("call", "cached"):
            tokens = event["prompt_tokens"], event["completion_tokens"]
            self._spent[event["query"]] += Spend(event["calls"], *tokens, event["usd"])

    async def grade(self, answers: Sequence[str], item: Item, whose: str = "") -> Grade:
        """The share of the two orders in which these answers, turn by turn, win; a tie is half.

        `whose` tells apart who answer the same item. Raises RunError if the judge has no verdict in one of them.
        """
        ours, theirs = (_TURNS.join(said) for said in (answers, self._rival[item.id]))
        first, second = await asyncio.gather(
            self._compared(item, (ours, theirs), f"{whose}{item.id} {_ORDERS[0]}"),
            self._compared(item, (theirs, ours), f"{whose}{item.id} {_ORDERS[1]}"),
        )
        preference = (_WORTH[first.better] + 1 - _WORTH[second.better]) / 2
        parts = {"preference": [preference], "lengths": [float(len(ours)), float(len(theirs))]}
        return Grade(preference > 0.5, preference, parts, first.explanation[:500])

    async def _compared(self, item: Item, answers: tuple[str, str], id: str) -> Comparison:
        asked = _TURNS.join([item.question, *item.turns])
        template, repair = _PROMPTS["prompt"], _PROMPTS["repair"]
        values = {"asked": asked, "answers": fence(answers, "answer")}
        messages = (Message("system", template.system), Message("user", fill(template.user, values)))
        run = await self._session.answer(messages, id)
        reply = read_reply(Comparison, run.answer) if run.answer is not None else None
        if reply is None and run.status == "ok":
            again = (*messages, Message("assistant", run.answer or ""), Message("user", repair.user))
            run = await self._session.answer(again, f"{id}{_AGAIN}")
            reply = read_reply(Comparison, run.answer) if run.answer is not None else None
        if reply is None:
            reason = run.error.headline if run.error else run.exhausted or f"it said {(run.answer or '')[:80]!r}"
            raise RunError(errors.NoJudgement(item=item.id, reason=reason))
        return reply

    def spent_on(self, item: Item, whose: str = "") -> dict[str, Any]:
        """What judging an item cost, JSON-ready, as though nothing had been in the journal."""
        queries = (f"{whose}{item.id} {order}{again}" for order in _ORDERS for again in ("", _AGAIN))
        spent = sum((self._spent[query] for query in queries), NOTHING)
        return {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd}
