"""`archc up`: what it would start for a spec, and that real processes are watched, started again and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archc import SpecError
from archc.diagnostics import RunError
from archc.fleet.servers import Server, Servers, servers
from archc.fleet.watch import TRIES, Watched
from archc.source import Source

ROOT = Path(__file__).parents[2]
FAKE = (sys.executable, "-m", "tests.servers", "0")


def wanted(*entries: str, environ: dict[str, str] | None = None, **options: Any) -> Servers:
    models = "\n".join(f"  m{i}: {{backend: openai, {entry}}}" for i, entry in enumerate(entries))
    steps = "\n".join(f"  - generate: m{i}" for i, _ in enumerate(entries))
    return servers(Source("a.yaml", f"models:\n{models}\npipeline:\n{steps}\n"), environ or {}, **options)


def lines(*entries: str, **options: Any) -> list[str]:
    return [one.line for one in wanted(*entries, **options).servers]


def test_options_become_flags_and_addresses_ports() -> None:
    serve = "{dtype: bfloat16, max_len: 4096, gpu_memory: 0.5, quantization: fp8, eager: true}"
    (line,) = lines(f'model: a/b, base_url: "http://localhost:9001/v1", serve: {serve}')
    flags = "--dtype bfloat16 --max-model-len 4096 --gpu-memory-utilization 0.5 --quantization fp8 --enforce-eager"
    assert line == f"vllm serve a/b --host localhost --port 9001 {flags}"


def test_variables_that_are_not_set_get_ports_and_are_told() -> None:
    entries = [f'model: a, base_url: "{url}", serve: {{}}' for url in ("${A_URL}", "${B_URL:-http://[::1]:7/v1}")]
    made = wanted(*entries, 'model: b, base_url: "${C_URL}", serve: {}', port=9000)
    a, c = "http://127.0.0.1:9000/v1", "http://127.0.0.1:9001/v1"
    assert [one.url for one in made.servers] == [a, "http://[::1]:7/v1", c]
    assert made.variables == {"A_URL": a, "C_URL": c}
    set_ = wanted(entries[0], environ={"A_URL": "http://localhost:5/v1"})
    assert [one.url for one in set_.servers] == ["http://localhost:5/v1"]
    assert set_.variables == {}


def test_each_replica_is_a_server_and_one_address_is_one_server() -> None:
    urls = '["http://localhost:1/v1", "http://localhost:2/v1"]'
    entry = f"model: a, base_url: {urls}, serve: {{}}"
    assert [one.name for one in wanted(entry, entry, "model: b, base_url: 'http://localhost:3/v1'").servers] == [
        "m1-1",
        "m1-2",
    ]


def test_each_server_gets_gpus_of_its_own() -> None:
    one = 'model: a, base_url: "http://localhost:1/v1", serve: {tensor_parallel: 2}'
    two = 'model: b, base_url: "http://localhost:2/v1", serve: {}'
    assert [s.environ for s in wanted(one, two, gpus=["3", "4", "5"]).servers] == [
        {"CUDA_VISIBLE_DEVICES": "3,4"},
        {"CUDA_VISIBLE_DEVICES": "5"},
    ]
    assert wanted(two, environ={"CUDA_VISIBLE_DEVICES": "7, 8"}).servers[0].environ == {"CUDA_VISIBLE_DEVICES": "7"}
    assert wanted(one, two, gpus=[]).servers[0].environ == {}
    for given in (["3"], ["3", "4"]):
        with pytest.raises(SpecError, match=f"want 3 GPUs together, where {len(given)} are given away"):
            wanted(one, two, gpus=given)


def test_any_command_will_do_and_no_shell_reads_it() -> None:
    entry = "model: '$(rm x); a', base_url: 'http://localhost:1/v1', serve: {dtype: float16}"
    (server,) = wanted(entry, command="run '{model}' {name}:{port} \"a b\"", extra=["--fast"]).servers
    assert server.command == ("run", "$(rm x); a", "m0:1", "a b", "--fast")
    (server,) = wanted(entry, command="run {flags} end").servers
    assert server.command == ("run", "--dtype", "float16", "end")


@pytest.mark.parametrize(
    ("entry", "options", "said"),
    [
        ("model: a, base_url: 'http://localhost:1/v1'", {}, "no model of `a.yaml` asks to be served"),
        ("model: a, base_url: 'https://gpu.lab/v1', serve: {}", {}, "is not this machine"),
        ("model: --trust-remote-code, base_url: 'http://localhost:1/v1', serve: {}", {}, "begins with `-`"),
        ("model: a, base_url: 'http://localhost:1/v1', serve: {}", {"command": "x {gpu}"}, "no value for {gpu}"),
        ("model: a, base_url: 'http://localhost:1/v1', serve: {}", {"command": "x '"}, "--command"),
        ("model: a, base_url: 'http://localhost:1/v1', serve: {trust_remote_code: true}", {}, "trust_remote_code"),
        ("model: a, base_url: 'http://localhost:1/v1', serve: {quantization: 'a --b'}", {}, "quantization"),
    ],
)
def test_what_can_not_be_served_is_said(entry: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        wanted(entry, **options)
    assert said in str(caught.value)


# ---- processes


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def watched(command: tuple[str, ...], port: int, folder: Path, told: Told) -> Watched:
    server = Server("small", f"http://127.0.0.1:{port}/v1", command)
    loop, environ = asyncio.get_running_loop(), {**os.environ, "PYTHONPATH": str(ROOT)}
    return Watched(server, folder / "log", environ, told.tell, loop.time, short)


async def short(seconds: float) -> None:
    """A tenth of the time: the order of things is the same."""
    await asyncio.sleep(seconds / 10)


class Told(list[str]):
    """What was told of a server; can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def tell(self, _: Server, what: str) -> None:
        self.append(what)
        self._more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._more.clear()
                await self._more.wait()

    @property
    def processes(self) -> list[int]:
        return [int(what.split("process ")[1].split(",")[0]) for what in self if "process" in what]


def test_a_server_that_crashes_is_started_again_and_none_is_left_at_the_end(tmp_path: Path) -> None:
    async def go() -> None:
        told = Told()
        port = free_port()
        one = watched((*FAKE, str(port)), port, tmp_path, told)
        running = asyncio.create_task(one.run())
        await asyncio.wait_for(one.well.wait(), 60)
        os.kill(told.processes[0], signal.SIGKILL)
        await told.until(lambda: sum("well at" in what for what in told) == 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert len(set(told.processes)) == 2
        for pid in told.processes:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    asyncio.run(go())


def test_a_server_that_never_comes_up_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    async def go() -> None:
        told = Told()
        command = (sys.executable, "-c", "import sys; sys.exit('no such model')")
        one = watched(command, free_port(), tmp_path, told)
        with pytest.raises(RunError, match="did not bring up a server: no such model"):
            await one.run()
        assert one.starts == TRIES

    asyncio.run(go())


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async def go() -> None:
        port = free_port()
        other = await asyncio.create_subprocess_exec(
            *FAKE, str(port), cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert other.stdout
        await other.stdout.readline()
        try:
            with pytest.raises(RunError, match=r"answers at .* already"):
                await watched(FAKE, port, tmp_path, Told()).run()
        finally:
            other.kill()
            await other.wait()

    asyncio.run(go())


SPEC = """
models: {small: {backend: openai, model: m, base_url: "${SMALL_URL}", serve: {}}}
pipeline: [generate: small]
"""


def test_up_brings_servers_up_for_run_and_ctrl_c_takes_them_down(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "ARCHC_CACHE": str(tmp_path)}
    archc = [sys.executable, "-m", "archc"]
    command = f"{sys.executable} -m tests.servers 0 {{port}}"
    up = [*archc, "up", "spec.yaml", "--port", str(free_port()), "--command", command]
    with subprocess.Popen(up, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        name, _, url = running.stdout.readline().removeprefix("export ").strip().partition("=")
        run = [*archc, "run", "spec.yaml", "Why?", "--no-journal"]
        done = subprocess.run(
            run, cwd=tmp_path, env={**environ, name: url}, capture_output=True, text=True, check=False
        )
        running.send_signal(signal.SIGINT)
    assert done.stdout.startswith("An answer of usual length"), done.stderr
    assert running.returncode == 0
    again = subprocess.run([*archc, "probe", url, "--routes-only"], env=environ, capture_output=True, check=False)
    assert again.returncode == 1  # nobody is there any more
