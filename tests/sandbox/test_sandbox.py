"""The sandbox: nothing gets out, nothing stays, no verdict is forged, and honest programs work as in Python."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import platform
import select
import shutil
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest

from archc.calls import Limits, Outcome
from archc.diagnostics import RunError
from archc.sandbox import pool
from archc.sandbox.child import packed, unpacked
from archc.sandbox.filters import FILTERS
from archc.sandbox.pool import Sandbox
from archc.sandbox.walls import WALLS, Interpreter, Wall, this_python
from tests.sandbox.forged import FORGED, SWALLOWING, TEST
from tests.sandbox.hostile import GREEDY, HEAD, TAIL, TRIES

SECRET = Path("/tmp/archc-sandbox-secret")
USERS = ("root", "not root")
QUICK = Limits(seconds=1.0, memory=512 << 20)


def sandbox(wall: Wall, user: str = "own", workers: int = 2) -> Sandbox:
    """A sandbox on this machine; skips where this machine cannot have it."""
    if sys.platform != "linux":
        pytest.skip("the sandbox is for Linux")
    if wall == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    if user == "own" or (user == "root") == (os.geteuid() == 0):
        return Sandbox(workers, wall)
    if user == "root":
        pytest.skip("only root can start it as root")
    setpriv = shutil.which("setpriv")
    if not setpriv or not Path("/usr/bin/python3").exists():
        pytest.skip("to become another user takes setpriv and a Python that everybody can read")
    before = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")
    return Sandbox(workers, wall, Interpreter(str(Path("/usr/bin/python3").resolve()), "/usr"), before)


def descendants(of: int | None = None) -> list[int]:
    """The processes below this one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except (OSError, ProcessLookupError):
            continue
    found, todo = [], [of or os.getpid()]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def all_end(files: list[int]) -> bool:
    """Whether these processes (by pidfd) end within ten seconds."""
    for file in files:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        if not poll.poll(10_000):
            return False
        os.close(file)
    return True


@cache
def hostile(wall: Wall, user: str) -> dict[str, Outcome]:
    """What came of every hostile program."""
    box = sandbox(wall, user)
    SECRET.write_text("ESCAPED")
    SECRET.chmod(0o666)

    async def play() -> dict[str, Outcome]:
        async with box:
            tries = [box.run(HEAD + code + TAIL, "", QUICK) for code in TRIES.values()]
            greedy = [box.run(HEAD + code + TAIL, "", QUICK) for code in GREEDY.values()]
            outcomes = await asyncio.gather(*tries, *greedy)
            here = [os.pidfd_open(pid) for pid in descendants()]
        assert all_end(here)
        return dict(zip([*TRIES, *GREEDY], outcomes, strict=True))

    try:
        os.environ["ARCHC_TEST_KEY"] = "secret"
        return asyncio.run(play())
    finally:
        del os.environ["ARCHC_TEST_KEY"]
        assert SECRET.read_text() == "ESCAPED"
        assert SECRET.stat().st_mode & 0o777 == 0o666
        SECRET.unlink()
        for left in ("/tmp/mark", "/dev/shm/mark", "/tmp/folder", "/tmp/fifo", "/tmp/hard", "/tmp/link"):
            assert not Path(left).exists()


@pytest.mark.parametrize("name", TRIES)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("wall", WALLS)
def test_nothing_gets_out(wall: Wall, user: str, name: str) -> None:
    outcome = hostile(wall, user)[name]

    assert "ESCAPED" not in outcome.stdout
    assert outcome.status == "error", outcome


@pytest.mark.parametrize("name", GREEDY)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("wall", WALLS)
def test_everything_comes_to_an_end(wall: Wall, user: str, name: str) -> None:
    outcome = hostile(wall, user)[name]

    assert "ESCAPED" not in outcome.stdout
    assert len(outcome.stdout) <= QUICK.output + (1 << 16)
    assert outcome.status in ("timeout", "killed", "error"), outcome


def test_the_hostile_are_many() -> None:
    assert len(TRIES) + len(GREEDY) >= 60
    assert len(FORGED) >= 30


@cache
def forged(wall: Wall) -> dict[str, Outcome]:
    box = sandbox(wall)

    async def play() -> dict[str, Outcome]:
        async with box:
            right = "def add(a, b): return a + b"
            assert (await box.test(right, TEST, "add", QUICK)).passed
            outcomes = await asyncio.gather(*(box.test(code, TEST, "add", QUICK) for code in FORGED.values()))
            assert (await box.test(right, TEST, "add", QUICK)).passed
        return dict(zip(FORGED, outcomes, strict=True))

    return asyncio.run(play())


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("wall", WALLS)
def test_no_verdict_is_forged(wall: Wall, name: str) -> None:
    assert not forged(wall)[name].passed


# ---- life


@pytest.mark.parametrize("wall", WALLS)
def test_nothing_survives_a_killed_parent(wall: Wall) -> None:
    sandbox(wall)
    text = f"""
import asyncio
from archc.sandbox.pool import Sandbox
from archc.calls import Limits
async def play():
    async with Sandbox(1, {wall!r}) as box:
        print("up", flush=True)
        await box.run("while True: pass", "", Limits(600))
asyncio.run(play())
"""

    async def play() -> list[int]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", text, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parent.parent.parent
        )
        assert process.stdout
        assert await process.stdout.readline() == b"up\n"
        below = descendants(process.pid)
        while len(below) < (3 if wall == "bubblewrap" else 2):  # the program is not there yet
            await asyncio.sleep(0)
            below = descendants(process.pid)
        files = [os.pidfd_open(pid) for pid in below]
        process.kill()
        await process.wait()
        return files

    assert all_end(asyncio.run(play()))


def test_a_lost_worker_is_replaced() -> None:
    async def play() -> Outcome:
        async with sandbox("landlock", workers=1) as box:
            for pid in descendants():
                os.kill(pid, signal.SIGKILL)
            return await box.run("print(1)")

    assert asyncio.run(play()).stdout == "1\n"


def test_a_cancelled_job_takes_its_worker_with_it() -> None:
    async def play() -> Outcome:
        async with sandbox("landlock", workers=1) as box:
            job = asyncio.create_task(box.run("while True: pass", "", Limits(600)))
            await asyncio.sleep(0)
            job.cancel()
            await asyncio.wait({job})
            return await box.run("print(1)")

    assert asyncio.run(play()).stdout == "1\n"


def test_workers_are_replaced_after_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_JOBS", 3)

    async def play() -> set[int]:
        seen = set()
        async with sandbox("landlock", workers=1) as box:
            for _ in range(7):
                assert (await box.run("print(1)")).passed
                seen |= {w._process.pid for w in box._all}
        return seen

    assert len(asyncio.run(play())) >= 3


def test_a_machine_without_walls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RunError, match="Linux only"):
        asyncio.run(Sandbox().start())
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(RunError, match="riscv64"):
        asyncio.run(Sandbox().start())


def test_what_does_not_start_says_why() -> None:
    with pytest.raises(RunError, match="landlock: /no/python: No such file"):
        asyncio.run(Sandbox(1, "landlock", Interpreter("/no/python", "/usr")).start())


# ---- honest programs


def told(code: str, test: str, entry: str | None = None, trusted: str = "") -> Outcome:
    async def play() -> Outcome:
        async with sandbox("landlock", workers=1) as box:
            return await box.test(code, test, entry, QUICK, trusted)

    return asyncio.run(play())


def test_asserts_find_every_name_of_the_program() -> None:
    code = "import math\nLIMIT = 3\ndef up(x): return math.ceil(x) + LIMIT\ndef twice(x): return 2 * x"

    assert told(code, "assert up(1.5) == 2 + LIMIT\nassert twice(math.floor(2.5)) == 4").passed


def test_the_message_says_line_call_and_result() -> None:
    outcome = told("def up(x): return x", "x = 1\nassert up(x) == 2, 'too small'")

    assert outcome.status == "failed"
    assert outcome.message == "assert up(x) == 2, 'too small'; up(1) gave 1; AssertionError: too small"


def test_a_program_that_does_not_load_is_an_error() -> None:
    assert told("def up(x) return x", "assert up(1)").message.startswith("the program does not load: SyntaxError")
    assert told("x = 1", "assert up(1)", "up").message == "the program has no `up`"


def test_arguments_that_are_changed_are_changed_for_the_test() -> None:
    assert told("def put(a, d, s): a.sort(); d[1] = 2; s.add(3)", "a, d, s = [2, 1], {}, set()\nput(a, d, s)\n"
                "assert (a, d, s) == ([1, 2], {1: 2}, {3})").passed  # fmt: skip


def test_exceptions_cross_by_name() -> None:
    test = "try:\n    f(-1)\nexcept ValueError as error:\n    assert str(error) == 'no'\nelse:\n    assert False"

    assert told("class No(ValueError): pass\ndef f(x): raise No('no')", test).passed


def test_what_the_program_shall_not_decide_is_trusted() -> None:
    code, test = "def good(x): return True\ndef f(x): return 0", "assert good(f(1))"

    assert told(code, test).passed
    assert told(code, test, "f", "def good(x): return x == 1").status == "failed"


def test_what_cannot_cross_is_true_or_false_and_equal_to_nothing() -> None:
    code = "import re\ndef f(x): return re.match('a', x)\nclass All:\n    def __eq__(self, other): return True\n"
    code += "def g(): return All()"

    assert told(code, "assert f('a')\nassert not f('b')\nassert g() != 5\nassert repr(f('a')) == '<Match>'").passed


def test_a_program_that_ends_itself_passes_no_test_at_all() -> None:
    assert told("import os\ndef add(a, b): os._exit(0)", SWALLOWING, "add").status == "killed"
    assert told("def add(a, b): raise SystemExit", SWALLOWING, "add").status == "error"


def test_a_test_that_ends_itself_is_not_passed() -> None:
    assert told("x = 1", "import os; os._exit(0)").status == "killed"
    assert told("x = 1", "raise SystemExit").status == "error"


def test_contest_programs_may_recurse_in_a_thread() -> None:
    code = """
import sys, threading
sys.setrecursionlimit(10 ** 6)
threading.stack_size(1 << 26)
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
threading.Thread(target=lambda: print(depth(int(input())))).start()
"""

    async def play() -> Outcome:
        async with sandbox("landlock", workers=1) as box:
            return await box.run(code, "20000\n", Limits(5.0))

    assert asyncio.run(play()).stdout == "20000\n"


VALUES = [None, True, 0, -1, 1 << 200, 0.1, float("inf"), -0.0, 1j, "", "a\ud800\0", b"\xff", bytearray(b"x"), range(3)]
VALUES += [[], [[1], (2,)], {}, {(1, 2): {3}, None: frozenset({4})}, {"l": [1]}, {"v": {"d": []}}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_cross_unchanged(value: object) -> None:
    again = unpacked(json.loads(json.dumps(packed(value))))

    assert again == value
    assert type(again) is type(value)


def test_other_values_do_not_cross() -> None:
    deep: list[object] = []
    deep.append(deep)
    for value in (object(), print, deep, int):
        with pytest.raises(TypeError):
            packed(value)


def test_filters_are_whole() -> None:
    assert {len(text) % 8 for text in FILTERS.values()} == {0}
    assert all(len(text) // 8 < 4096 for text in FILTERS.values())


# ---- real tasks


def tasks() -> Iterator[dict[str, object]]:
    data = Path(os.environ.get("ARCHC_DATA") or Path(__file__).parents[3] / "shared" / "data")
    place = data / "code" / "humaneval.jsonl"
    if not place.exists():
        pytest.skip(f"no programs at {place}; ARCHC_DATA names the folder of data")
    yield from map(json.loads, place.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("wall", WALLS)
def test_all_canonical_solutions_pass(wall: Wall) -> None:
    async def play() -> dict[str, Outcome]:
        async with sandbox(wall) as box:
            known = list(tasks())
            return dict(
                zip([t["id"] for t in known], await asyncio.gather(*(_try(box, t) for t in known)), strict=True)
            )

    outcomes = asyncio.run(play())

    assert len(outcomes) == 164
    assert {name: o for name, o in outcomes.items() if not o.passed} == {}


class Mutant(ast.NodeTransformer):
    """Changes the one place of a program whose number is given."""

    SWAPS: ClassVar[dict[type, type]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.FloorDiv}
    SWAPS |= {ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.LtE: ast.Lt, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.And: ast.Or}

    def __init__(self, place: int) -> None:
        self.left = place

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        fits = type(node) in self.SWAPS or (isinstance(node, ast.Constant) and type(node.value) in (int, bool))
        self.left -= fits
        if not fits or self.left != -1:
            return node
        return ast.Constant(node.value + 1) if isinstance(node, ast.Constant) else self.SWAPS[type(node)]()  # type: ignore[operator]


def mutants(task: dict[str, object]) -> Iterator[str]:
    program = str(task["question"]) + str(task["answer"])
    for place in (0, 2, 5):
        change = Mutant(place)
        tree = ast.parse(program)
        tree.body[-1] = change.visit(tree.body[-1])  # not the helpers, which the test has from the task
        ast.fix_missing_locations(tree)
        if change.left < 0:
            yield ast.unparse(tree)


def test_mutants_have_the_verdict_of_one_python() -> None:
    """In one process, as the field does it, and in two: the same verdict on programs that do not cheat."""

    async def play() -> list[tuple[bool, bool, str]]:
        async with sandbox("landlock") as box:
            return await asyncio.gather(*(both(box, t, m) for t in tasks() for m in mutants(t)))

    async def both(box: Sandbox, task: dict[str, object], mutant: str) -> tuple[bool, bool, str]:
        meta = task["meta"]
        assert isinstance(meta, dict)
        name, limits = meta["entry_point"], Limits(5.0)
        one = await box.run(f"{mutant}\n{task['tests']}\ncheck({name})", "", limits)
        two = await box.test(mutant, str(task["tests"]), name, limits, trusted=f"{task['question']}    pass\n")
        return one.passed, two.passed, f"{task['id']}: {one} {two}"

    verdicts = asyncio.run(play())

    assert len(verdicts) > 300
    assert [said for one, two, said in verdicts if one != two] == []
    assert 0 < sum(one for one, _, _ in verdicts) < len(verdicts) / 2


async def _try(box: Sandbox, task: dict[str, object]) -> Outcome:
    question, tests = str(task["question"]), str(task["tests"])
    meta = task["meta"]
    assert isinstance(meta, dict)
    return await box.test(
        question + str(task["answer"]), tests, meta["entry_point"], Limits(20.0), trusted=question + "    pass\n"
    )


def test_this_python_has_its_modules_there() -> None:
    assert Path(this_python().program).exists()
    assert Path(this_python().folder).is_dir()
