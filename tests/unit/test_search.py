"""`archc search`: it spends what it was given, goes on as if nothing had happened, and says what is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archc import api
from archc.backends.simulated import Simulated
from archc.calls import Completion, Request
from archc.cli import main
from archc.diagnostics import SpecError
from archc.runtime.journal import opened
from archc.searching.asked import Asked, ordered
from archc.source import Source
from tests.unit.test_cli_run import Ended

PROMPT = "\n\nThink step by step. End with: The answer is N."
ANSWERS = {f"How many are thing {i}?": str(100 + i) for i in range(120)}
SPACE = """
search maximise=accuracy budget={{calls: 9000}}
model weak = simulated("weak", skill=0.3, answers={known})
model strong = simulated("strong", skill=0.7, answers={known})
generate({{weak | strong}}, n={{1 | 3 | 9}}) -> verify(weak)? -> extract(number) -> vote
"""


class Search:
    """A folder with a space and questions."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.folder = capsys, folder
        known = {question + PROMPT: answer for question, answer in ANSWERS.items()}
        entries = ", ".join(f"{json.dumps(q)}: {json.dumps(a)}" for q, a in known.items())
        self.write("space.arch", SPACE.format(known="{" + entries + "}"))
        self.write("q.jsonl", "".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in ANSWERS.items()))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def cli(self, *words: str) -> Ended:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        out, err = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    def __call__(self, *words: str) -> Ended:
        return self.cli("search", "space.arch", "--task", "q.jsonl", "--run", "found", "-q", *words)

    def json(self, name: str, run: str = "found") -> Any:
        return json.loads((self.folder / run / name).read_text())

    def lines(self, run: str) -> list[dict[str, Any]]:
        text = (self.folder / run / "items.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def bought(self) -> int:
        with opened(self.folder / "journal") as store:
            return store.spent("").calls


@pytest.fixture
def search(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHC_JOURNAL", str(tmp_path / "journal"))
    return Search(capsys, tmp_path)


def test_it_finds_the_best_architecture_and_confirms_it_on_other_items(search: Search) -> None:
    ended = search("--json")
    summary, manifest = ended.json, search.json("manifest.json")
    board = search.json("leaderboard.json")

    assert ended.code == 0
    assert board["trials"][0]["point"]["generate.model"] == "strong"
    assert board["trials"][0]["point"]["generate.n"] == 9
    split = manifest["split"]
    assert not set(split["search"]) & set(split["held_out"])
    assert len(split["search"]) + len(split["held_out"]) == len(ANSWERS)
    confirmed = summary["confirmation"]["confirmed"]
    assert confirmed[0]["trial"] == board["trials"][0]["number"]
    assert confirmed[0]["optimism"] == confirmed[0]["search"]["value"] - confirmed[0]["held_out"]["value"]
    for one in confirmed:
        asked = {record["id"] for record in search.lines(one["folder"])}
        assert asked <= set(split["held_out"])


def test_the_winner_runs_as_it_was_found(search: Search) -> None:
    search()
    text = (search.folder / "found" / "best.yaml").read_text()
    best = search.json("leaderboard.json")["trials"][0]
    held_out = search.json("summary.json")["confirmation"]["confirmed"][0]["held_out"]["value"]
    plan = api.compile(search.folder / "found" / "best.yaml")

    assert text.startswith("# Found by `archc search space.arch`")
    assert plan.cost.calls.hi == best["figures"]["max_calls"]
    ended = search.cli(
        "bench", "found/best.yaml", "--task", "q.jsonl", "--run", "again", "--json", "--limit", "120", "-q"
    )
    assert ended.code == 0
    there = {record["id"] for record in search.lines(f"found/confirm/trial-{best['number']}")}
    records = [record for record in search.lines("again") if record["id"] in there]
    right = [record["correct"] for record in records]
    assert sum(right) / len(right) == pytest.approx(held_out)
    assert sum(record["calls"] - record["cached"] for record in records) == 0  # all of it was paid for by the search


def test_it_says_first_that_a_baseline_is_as_good(search: Search) -> None:
    first = search().out.splitlines()[0]
    found = search.json("summary.json")["confirmation"]

    assert found["not_better_than"]
    assert first.startswith("The winner is not better than ")
    assert all(name in first for name in found["not_better_than"])
    assert {name.partition("@")[0] for name in found["baselines"]} >= {"greedy", "self-consistency"}


def test_baselines_are_compared_by_what_is_searched_for(search: Search) -> None:
    """One greedy answer has more of this than nine that vote, though it is right less often."""
    said = search("--maximise", "accuracy - 0.2 * calls").out
    found = search.json("summary.json")["confirmation"]
    greedy = found["baselines"]["greedy"]
    ours, theirs = greedy["calls_per_item"][1], greedy["calls_per_item"][0]

    expected = greedy["difference"]["value"] - 0.2 * (ours - theirs)
    assert greedy["lead"]["value"] == pytest.approx(expected)
    assert found["confirmed"][0]["held_out"]["value"] < 1 - 0.2
    assert "accuracy - 0.2 * calls [" in said


def test_baselines_ask_the_best_model_and_not_the_first(search: Search) -> None:
    known = json.dumps({question + PROMPT: answer for question, answer in ANSWERS.items()})
    text = f"""
    model weak = simulated("weak", skill=0.2, answers={known})
    model strong = simulated("strong", skill=0.8, answers={known})
    (generate(weak, n={{1 | 2}}, temperature=0.9) & generate(strong, n=2)) -> extract(number) -> vote
    """
    search.write("space.arch", text)
    search("--trials", "2", "--budget", "calls=9000")
    runs = [json.loads(path.read_text()) for path in search.folder.glob("found/confirm/*/baselines/*/manifest.json")]

    assert len(runs) >= 4
    for run in runs:
        [pipeline] = [said for said in run["recipe"]["set"] if said.startswith("pipeline=")]
        assert json.loads(pipeline.partition("=")[2])[0]["generate"]["model"] == "strong"


def test_a_trial_whose_judge_never_answers_is_told(search: Search) -> None:
    text = (search.folder / "space.arch").read_text().replace("verify(weak)", "verify(mute, reason=false)")
    search.write("space.arch", 'model mute = simulated("mute", script=["I could not say."])\n' + text)
    ended = search("--budget", "calls=9000")
    notes = search.json("summary.json")["notes"]
    judged = {t["number"] for t in search.json("leaderboard.json")["trials"] if t["point"]["verify.on"]}

    assert judged
    assert {int(note.split(":")[0].removeprefix("trial ")) for note in notes} == judged
    assert any("verify: verdict failed: not a judgement: 'I could not say.'" in line for line in ended.out.splitlines())


@pytest.mark.parametrize("calls", [200, 700, 2500])
def test_it_never_spends_more_than_its_budget_and_uses_it(search: Search, calls: int) -> None:
    search("--budget", f"calls={calls}")

    assert search.bought() <= calls
    assert search.json("summary.json")["spent"]["calls"] == search.bought()
    assert search.json("summary.json")["search"]["calls"] <= 0.6 * calls


def test_the_same_command_goes_on_and_comes_to_the_same(search: Search) -> None:
    first = search()
    board, bought = search.json("leaderboard.json"), search.bought()
    again = search()
    resumed = search.cli("search", "--resume", "found", "-q")

    assert first.out == again.out == resumed.out
    assert search.json("leaderboard.json") == board
    assert search.bought() == bought


def test_more_trials_go_on_where_fewer_ended(search: Search) -> None:
    search("--trials", "4")
    few = search.json("leaderboard.json")["trials"]
    search("--trials", "8")
    more = {trial["number"]: trial for trial in search.json("leaderboard.json")["trials"]}

    assert len(few) == 4
    assert len(more) == 8
    assert all(more[trial["number"]]["point"] == trial["point"] for trial in few)


def test_trials_share_their_samples_and_stop_early(search: Search) -> None:
    search()
    searched = search.json("summary.json")["search"]

    assert searched["calls"] < searched["calls_of_answers"] < searched["calls_in_full"]


def test_another_search_is_not_mixed_into_a_folder(search: Search) -> None:
    search("--trials", "2")
    ended = search("--trials", "2", "--seed", "1")

    assert ended.code == 2
    assert "holds another search: `seed` is not the same" in ended.err


def test_points_that_cannot_meet_a_constraint_are_never_tried(search: Search) -> None:
    search("--subject-to", "max_calls <= 3")
    trials = search.json("leaderboard.json")["trials"]

    assert {trial["figures"]["max_calls"] for trial in trials} <= {1, 3}
    assert all(trial["status"] != "infeasible" for trial in trials)


def test_what_breaks_a_measured_constraint_does_not_win(search: Search) -> None:
    search("--subject-to", "tokens <= 300")
    board = search.json("leaderboard.json")

    assert any(trial["status"] == "infeasible" for trial in board["trials"])
    assert all(trial["figures"]["tokens"] <= 300 for trial in board["trials"][: board["ranked"]])


def test_several_goals_make_a_front_of_runnable_specs(search: Search) -> None:
    search("--maximise", "accuracy", "--minimise", "calls")
    paths = sorted((search.folder / "found" / "front").glob("*.yaml"))
    plans = [api.compile(path) for path in paths]
    board = search.json("leaderboard.json")

    assert len(paths) > 1
    assert len({plan.cost.calls.hi for plan in plans}) == len(plans)
    assert len(board["trials"][0]["values"]) == 2


def test_a_model_of_the_spec_advises_and_is_paid_from_the_same_budget(search: Search) -> None:
    wise = {"generate.model": "strong", "generate.n": 9, "verify.on": True}
    adviser = f'model wise = simulated("wise", script={json.dumps([json.dumps([wise])])})'
    space = (search.folder / "space.arch").read_text()
    search.write("space.arch", space.replace("generate({", f"{adviser}\ngenerate({{", 1))
    words = ("--sampler", "llm", "--adviser", "wise", "--trials", "6", "--abreast", "1")
    first = search(*words)
    trials = search.json("leaderboard.json")["trials"]

    assert wise in [trial["point"] for trial in trials]
    assert any("random" in note for note in search.json("summary.json")["notes"])  # it says the same again and again
    with opened(search.folder / "journal") as store:
        [[advice]] = store.rows("SELECT sum(calls) FROM attempts WHERE model = 'wise'")
    assert advice > 0
    assert search.json("summary.json")["spent"]["calls"] == search.bought()
    assert search(*words).out == first.out


def duel(search: Search, *words: str, run: str = "found", versus: str = "rival.jsonl") -> Ended:
    """A search on a task whose answers a judge compares with those of `versus`."""
    judge = json.dumps({"backend": "simulated", "model": "j", "script": ["1", "tie", "2", "1"]})
    rest = ("--judge", judge, "--versus", versus, "--share", "0.5", "--confirm", "10", *words)
    return search.cli("search", "verse.arch", "--task", "duel.yaml", "--run", run, "-q", *rest)


@pytest.fixture
def verses(search: Search) -> Search:
    search.write("verse.arch", 'model m = simulated("m", verbosity={5 | 90})\ngenerate(m, n={1 | 3}) -> select(first)')
    search.write("duel.yaml", "slices: {all: v.jsonl}\ngrader: preference\n")
    asked = [{"id": str(i), "question": [f"Verse {i}?", "And?"][: 1 + i % 2]} for i in range(24)]
    search.write("v.jsonl", "".join(f"{json.dumps(one)}\n" for one in asked))
    rivals = [{"id": one["id"], "answer": ["No.", "No."][: len(one["question"])]} for one in asked]
    search.write("rival.jsonl", "".join(f"{json.dumps(one)}\n" for one in rivals))
    return search


def test_where_a_judge_compares_it_is_paid_from_the_same_budget_and_all_turns_are_asked(verses: Search) -> None:
    ended = duel(verses, "--trials", "4", "--maximise", "score", "--budget", "calls=2000", "--json")
    records = verses.lines("found")
    trial = verses.json("leaderboard.json")["trials"][0]
    again = duel(verses, "--trials", "4", "--maximise", "score", "--budget", "calls=2000", "--json")

    assert ended.code == 0, ended.err
    assert {len(record["turns"]) for record in records if "turns" in record} == {2}
    assert all(record["status"] == "ok" and record["judge"]["calls"] == 2 for record in records)
    assert verses.bought() == ended.json["spent"]["calls"] <= 2000
    assert trial["figures"]["score"] == trial["values"][0]
    assert ended.json["confirmation"]["items"] == 10
    assert again.json["said"] == ended.json["said"]
    assert again.json["spent"] == ended.json["spent"]


def test_a_judge_that_has_no_budget_left_makes_nothing_wrong(verses: Search) -> None:
    short = duel(verses, "--trials", "4", "--budget", "calls=60", "--reserve", "0", "--json")
    rest = duel(verses, "--trials", "4", "--budget", "calls=2000", "--json")
    whole = duel(verses, "--trials", "4", "--budget", "calls=2000", "--json", run="whole")

    assert short.json["spent"]["calls"] <= 60
    assert {record["status"] for record in verses.lines("found")} == {"ok"}
    assert rest.json["said"] == whole.json["said"]


def test_what_a_judge_needs_is_missed_before_anything_is_written(verses: Search) -> None:
    verses.write("few.jsonl", (verses.folder / "rival.jsonl").read_text().split("\n", 1)[0] + "\n")
    ended = duel(verses, "--trials", "2", versus="few.jsonl")

    assert (ended.code, "no-rival" in ended.err) == (2, True), ended.err
    assert not (verses.folder / "found").exists()


def test_a_dry_run_buys_nothing(search: Search) -> None:
    ended = search("--dry-run")

    assert "12 points" in ended.out
    assert "one architecture: 1 to 36 calls an item" in ended.out
    assert "calls: enough for" in ended.out
    assert not (search.folder / "found").exists()
    assert not (search.folder / "journal").exists()


def test_a_dry_run_counts_all_turns_and_the_judge(verses: Search) -> None:
    told = duel(verses, "--dry-run", "--budget", "calls=2000").out

    # 1 to 3 samples in each of 1 to 2 turns, and a verdict in either order, each of which may be asked for again
    assert "one architecture: 3 to 10 calls an item at most, by 4 of them, those of the judge with them" in told


def test_a_later_search_begins_with_what_an_earlier_one_found(search: Search) -> None:
    search()
    best = search.json("leaderboard.json")["trials"][0]["point"]
    search.cli(
        *("search", "space.arch", "--task", "q.jsonl", "--run", "later", "-q"),
        *("--warm", "found", "--trials", "2", "--seed", "3", "--abreast", "1"),
    )

    trials = {trial["number"]: trial for trial in search.json("leaderboard.json", "later")["trials"]}
    assert trials[1]["point"] == best


def test_the_study_can_be_read_by_optuna(search: Search) -> None:
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    search()
    storage = JournalStorage(JournalFileBackend(str(search.folder / "found" / "study.log")))
    study = load_study(study_name=None, storage=storage)
    best = search.json("leaderboard.json")["trials"][0]

    assert study.best_value == best["values"][0]
    assert study.best_trial.params["generate.model"] == best["point"]["generate.model"]
    assert len(study.trials) == search.json("summary.json")["trials"]


def test_the_report_has_what_the_summary_says(search: Search) -> None:
    search()
    page = (search.folder / "found" / "report.html").read_text()

    assert search.json("summary.json")["said"][0] in page
    for part in ("Confirmation", "What it costs", "How it went", "What mattered", "Trials"):
        assert part in page
    assert search.cli("report", "found", "-o", "other.html").code == 0
    assert (search.folder / "other.html").read_text() == page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "space.arch"], "no task is given"),
        (["search", "closed.arch", "--task", "q.jsonl", "--trials", "3"], "the spec leaves nothing open"),
        (["search", "open.arch", "--task", "q.jsonl"], "neither a budget nor a number of trials"),
        (["search", "space.arch", "--task", "q.jsonl", "--limit", "12"], "12 items, which are too few"),
        (["search", "space.arch", "--task", "q.jsonl", "--sampler", "tp"], "did you mean `tpe`?"),
        (["search", "space.arch", "--task", "q.jsonl", "--subject-to", "calls < 1"], "no point meets"),
        (["search", "space.arch", "--task", "q.jsonl", "--alpha", "0"], "`alpha` is wrong: input should be greater"),
        (["search", "space.arch", "--task", "q.jsonl", "--sampler", "llm", "--adviser", "nobody"], "no model `nobody`"),
        (["search", "--resume", "nowhere"], "there is no manifest.json"),
        (["search", "space.arch", "--task", "q.jsonl", "--warm", "nowhere"], "is not the folder of a search"),
    ],
)
def test_mistakes_are_said_before_anything_is_paid(search: Search, words: list[str], said: str) -> None:
    search.write("closed.arch", 'model m = simulated("m")\ngenerate(m)')
    search.write("open.arch", 'model m = simulated("m")\ngenerate(m, n={1 | 2})')
    ended = search.cli(*words)

    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not (search.folder / "journal").exists()


def test_a_search_key_with_a_mistake_is_told_where_it_stands(search: Search) -> None:
    search.write("space.arch", 'search maximize=accuracy\nmodel m = simulated("m")\ngenerate(m, n={1 | 2})')
    ended = search.cli("check", "space.arch")

    assert ended.code == 2
    assert "space.arch:1:8" in ended.err
    assert "did you mean `maximise`?" in ended.err


def test_what_the_options_say_goes_before_what_the_spec_says(search: Search) -> None:
    source = Source(
        "s.arch", 'search task="q.jsonl" trials=5 minimise=calls\nmodel m = simulated("m")\ngenerate(m, n={1|2})'
    )
    order, _ = ordered(source, Asked(trials=7), "")
    other, _ = ordered(source, Asked(maximise=("score",), sampler="random"), "")

    assert (order.trials, order.aim.goals[0].sign, order.task.name) == (7, -1, "q")
    assert (other.trials, other.aim.goals[0].text, other.sampler) == (5, "score", "random")
    with pytest.raises(SpecError):
        ordered(source, Asked(task="nothing"), "")


def test_a_server_that_fails_leaves_a_search_that_can_go_on(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: nothing is lost, and the same command comes to what an undisturbed one does."""
    import os
    import signal

    whole = search("--trials", "6")
    board = search.json("leaderboard.json")
    complete, seen = Simulated.complete, 0

    async def interrupted(self: Simulated, request: Request) -> tuple[Completion, ...]:
        nonlocal seen
        seen += 1
        if seen == 60:
            os.kill(os.getpid(), signal.SIGINT)
        return await complete(self, request)

    monkeypatch.setattr(Simulated, "complete", interrupted)
    monkeypatch.setenv("ARCHC_JOURNAL", str(search.folder / "other"))
    words = ("search", "space.arch", "--task", "q.jsonl", "--run", "cut", "-q", "--trials", "6")
    assert search.cli(*words).code == 130
    again = search.cli(*words)

    assert again.code == 0
    first, found = (ended.out.replace("cut/", "found/").splitlines() for ended in (whole, again))
    assert [line for line in first if "bought" not in line] == [line for line in found if "bought" not in line]
    mine = search.json("leaderboard.json", "cut")
    for one, other in zip(board["trials"], mine["trials"], strict=True):
        assert _but_for_time(one) == _but_for_time(other)


def _but_for_time(trial: dict[str, Any]) -> dict[str, Any]:
    figures = {n: v for n, v in trial["figures"].items() if "seconds" not in n and "tokens" not in n}
    return {**trial, "figures": figures, "run_id": "", "cost": trial["cost"]["calls"]}
