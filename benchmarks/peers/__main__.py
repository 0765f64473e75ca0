"""archc beside what people would use instead: the same calls to the same server, side by side.

    python -m benchmarks.peers [PEER …] [--shapes ABCD] [--loads 1x64,32x64,256x512] [--rounds 3]
    python -m benchmarks.peers --install          # each peer into an environment of its own
    python -m benchmarks.peers --url URL          # against a real server with a model `m`

For every architecture and load (questions x calls at once) it prints, for each peer, the wall time and its ratio to the
physical limit, the CPU time of the client per call, its memory at most, and the calls that it made. All rounds are
interleaved, and the figures are medians; `best` is the ratio of the quickest round, for machines that are not quiet.
The client runs on one core and the server on another, where there are two. Where the server is a real one, nobody knows
the limit: ratios are those to bare aiohttp.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.shapes import NAMES, SHAPES, calls, limit

HERE = Path(__file__).parent
HOMES = Path.home() / ".cache" / "archc-peers"
LONGEST_S = 180.0


@dataclass(frozen=True)
class Peer:
    """One row: the adapter that runs it, and what it needs; no packages: this interpreter has them."""

    adapter: str
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    """Installed without what it depends on: its approaches do not import it."""
    lacks: dict[str, str] = field(default_factory=dict)
    """Why there is no cell for a shape."""
    env: dict[str, str] = field(default_factory=dict)


PEERS = {
    "archc": Peer("with_archc.py"),
    "archc, n in one request": Peer("with_archc.py", env={"ARCHC_N": "1"}),
    "bare aiohttp": Peer("with_aiohttp.py"),
    "its-hub": Peer(
        "with_its_hub.py",
        ("its-hub", "aiohttp", "backoff", "certifi"),
        lacks=dict.fromkeys("AD", "one algorithm for a question: no critics, rankers or fusers to put behind"),
    ),
    "optillm": Peer(
        "with_optillm.py",
        ("openai", "networkx", "numpy", "requests", "flask", "aiohttp"),
        ("optillm",),
        lacks={"A": "no approach has these steps", "D": "its moa is another recipe: 3 samples, a critique, an answer"},
    ),
    "dspy": Peer("with_dspy.py", ("dspy",)),
    "langgraph": Peer("with_langgraph.py", ("langgraph", "langchain-openai")),
    "inspect-ai": Peer("with_inspect.py", ("inspect-ai", "openai"), env={"INSPECT_DISPLAY": "none"}),
}
WIDTHS = (8, 7, 7, 13, 9, 6, 8, 9)
"""Of the columns behind the name."""
ALSO = "bare aiohttp"
"""Told once more, as a ratio: what archc's CPU is measured by."""


def python_of(name: str, peer: Peer) -> Path:
    return HOMES / name / "bin" / "python" if peer.packages else Path(sys.executable)


def install(names: list[str]) -> None:
    for name in names:
        peer = PEERS[name]
        if peer.packages:
            subprocess.run([sys.executable, "-m", "venv", str(HOMES / name)], check=True)
            pip = [str(python_of(name, peer)), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, *peer.packages], check=True)
            if peer.alone:
                subprocess.run([*pip, "--no-deps", *peer.alone], check=True)


@contextmanager
def server() -> Iterator[str]:
    command = [*_pinned(-1), sys.executable, "-m", "benchmarks.peers.latency"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


def _pinned(which: int) -> list[str]:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return ["taskset", "-c", str(cores[which])] if len(cores) > 1 else []


def measured(name: str, url: str, shape: str, questions: int, at_once: int) -> dict[str, Any] | str:
    """The figures of one run, or why there are none."""
    peer = PEERS[name]
    python = python_of(name, peer)
    if shape in peer.lacks:
        return peer.lacks[shape]
    if not python.exists():
        return f"not installed: `python -m benchmarks.peers --install '{name}'`"
    paths = [str(HERE.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    where = {"PYTHONPATH": os.pathsep.join(paths)} if not peer.packages else {}
    key = {"OPENAI_API_KEY": "EMPTY", "OPENAI_BASE_URL": url}
    env = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **where, **key, **peer.env}
    command = [*_pinned(0), str(python), str(HERE / peer.adapter), url, shape, str(questions), str(at_once)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {LONGEST_S:.0f} s"
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def table(names: list[str], shape: str, questions: int, at_once: int, rounds: int, url: str, is_real: bool) -> None:
    least, one = limit(shape, questions, at_once), calls(shape)
    known = "" if is_real else f": at least {least:.2f} s"
    print(f"\n{shape}: {NAMES[shape]}; {questions} questions, {at_once} calls at once{known}")
    heads = ("wall s", "ratio", "best", "CPU ms/call", "of bare", "MiB", "calls", "at once")
    print(" " * 26 + "".join(head.rjust(width) for head, width in zip(heads, WIDTHS, strict=True)))
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    why: dict[str, str] = {}
    for _ in range(rounds):
        for name in names:
            if name in why:
                continue
            got = measured(name, url, shape, questions, at_once)
            if isinstance(got, str):
                why[name] = got
            else:
                seen[name].append(got)
    middle = {
        name: {key: statistics.median(one[key] for one in got) for key in got[0]} for name, got in seen.items() if got
    }
    best = {name: min(one["wall"] for one in got) for name, got in seen.items() if got}
    if is_real:
        least = middle[ALSO]["wall"] if ALSO in middle else float("nan")
    for name in names:
        if name not in middle:
            print(f"{name:26}{why[name][:110]}")
            continue
        got = middle[name]
        cpu = got["cpu"] / (questions * one) * 1000
        bare = middle[ALSO]["cpu"] / (questions * one) * 1000 if ALSO in middle else 0.0
        sent = got.get("calls", questions * one)
        other = "" if sent == questions * one else "  other calls than the others"
        cells = (
            f"{got['wall']:.2f}",
            f"{got['wall'] / least:.2f}",
            f"{best[name] / least:.2f}",
            f"{cpu:.3f}",
            f"{cpu / bare:.2f}" if bare else "-",
            f"{got['mib']:.0f}",
            f"{sent:.0f}",
            f"{got.get('most_in_flight', at_once):.0f}",
        )
        line = "".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))
        print(f"{name:26}{line}{other}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", help=", ".join(PEERS), metavar="PEER")
    parser.add_argument("--shapes", default="".join(SHAPES))
    parser.add_argument("--loads", default="1x64,32x64,32x512,256x512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--url")
    told = parser.parse_args()
    names = told.peers or list(PEERS)
    if unknown := set(names) - set(PEERS):
        parser.error(f"no such peer: {', '.join(unknown)}")
    if told.install:
        install(names)
        return
    print(f"load of this machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())} on {os.cpu_count()} cores")
    with nullcontext(told.url) if told.url else server() as url:
        for load in told.loads.split(","):
            questions, at_once = map(int, load.split("x"))
            for shape in told.shapes:
                table(names, shape, questions, at_once, told.rounds, url, bool(told.url))


if __name__ == "__main__":
    main()
