"""The program of a worker: a warm interpreter that forks a confined child for each piece of untrusted code.

It runs as `python -I -S -c TEXT CONFIG` outside archc and imports nothing of it. It must not know what it runs, since
each child is a copy of its memory: so programs and tests are read by the children themselves, and what they say is
passed on through one buffer that is wiped. A job on stdin is a `JOB` with the sizes of two texts, then the texts; what
comes back on stdout are frames: a kind, a size, and as many bytes.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import struct
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

JOB = struct.Struct("<cIIdQI")
"""Kind (`t`est or `s`cript), bytes of the first and second text, seconds, bytes of memory, bytes of output."""
FRAME = struct.Struct("<cI")

USED_OFTEN = (
    "array ast bisect cmath collections copy dataclasses datetime decimal enum fractions functools hashlib heapq"
)
USED_OFTEN += " io itertools math numbers operator queue random statistics string textwrap typing unicodedata"
NOBODY = 65534
THREADS = 2048
"""For contest programs that recurse in a thread; a user who has more of them already can begin none."""
SETUP_FAILED = 71

Limits = tuple[bytes, float, int]
"""The filter, seconds, and bytes of memory."""

libc = ctypes.CDLL(None, use_errno=True)
scratch = bytearray(1 << 16)


# ---- the walls


def check(result: int, what: str) -> int:
    """The result, unless it is an error. Raises OSError then."""
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def prctl(option: int, value: int, more: Any = 0) -> None:
    """One setting of this process. Raises OSError if the kernel refuses."""
    word = ctypes.c_ulong
    check(libc.prctl(option, word(value), more if more else word(0), word(0), word(0)), f"prctl {option}")


def landlock_abi() -> int:
    """The version of Landlock in the kernel, 0 if there is none."""
    return max(0, int(libc.syscall(ctypes.c_long(444), None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def landlock(readable: Sequence[str]) -> None:
    """No file but these for reading, no TCP, and no signal or abstract socket out of here, as far as the kernel can."""
    abi = landlock_abi()
    if abi == 0:
        raise OSError(0, "the kernel has no Landlock")
    files = (1 << (13 if abi == 1 else 14 if abi == 2 else 15 if abi < 5 else 16)) - 1
    rules = struct.pack("<QQQ", files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    made = libc.syscall(ctypes.c_long(444), rules, ctypes.c_size_t(size), ctypes.c_uint(0))
    ruleset = check(made, "Landlock")
    for path in readable:
        try:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        rule = struct.pack("<Qi", 4 | 8, folder)  # to read files and to list folders
        check(libc.syscall(ctypes.c_long(445), ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0)), path)
        os.close(folder)
    check(libc.syscall(ctypes.c_long(446), ctypes.c_int(ruleset), ctypes.c_uint(0)), "Landlock")
    os.close(ruleset)


def become_nobody(readable: Sequence[str]) -> None:
    """Root would be free of the limit of processes. Where only root can reach Python's files, it reads as root still,
    which the walls allow for these files only."""
    root_reads = not all(os.stat(part).st_mode & 1 for path in readable for part in parents(path))  # noqa: PTH116
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    if not root_reads:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return
    prctl(8, 1)  # PR_SET_KEEPCAPS
    os.setresuid(NOBODY, NOBODY, NOBODY)
    head = struct.pack("<Ii", 0x20080522, 0)
    setuid = 1 << 7
    check(libc.capset(head, struct.pack("<6I", setuid, setuid, 0, 0, 0, 0)), "capset")
    libc.setfsuid(0)
    check(libc.capset(head, bytes(24)), "capset")


def parents(path: str) -> Iterator[str]:
    """A path and every folder above it, if it is there."""
    while os.path.exists(path) and path != "/":  # noqa: PTH110
        yield path
        path = os.path.dirname(path)  # noqa: PTH120


def confine(filter_text: bytes, seconds: float, memory: int) -> None:
    """For a child, before it runs what it was given: limits, then the filter of system calls."""
    cpu = int(seconds) + 2
    limits = {"CPU": cpu, "AS": memory, "FSIZE": 0, "NOFILE": 32, "CORE": 0, "STACK": 8 << 20}
    limits |= {"NPROC": THREADS, "MEMLOCK": 0, "MSGQUEUE": 0}
    for name, most in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    code = ctypes.create_string_buffer(filter_text, len(filter_text))
    program = struct.pack("@HP", len(filter_text) // 8, ctypes.addressof(code))
    prctl(22, 2, program)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


# ---- jobs


def read(size: int) -> bytes:
    """Exactly so many bytes of stdin; its end ends the process."""
    parts = b""
    while len(parts) < size:
        part = os.read(0, size - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return parts


def send(kind: bytes, text: bytes | memoryview) -> None:
    """Writes one frame."""
    os.write(1, FRAME.pack(kind, len(text)))
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(1, rest) :]


def spawn(
    sizes: Sequence[int], pipes: Sequence[int], limits: Limits, work: Callable[..., None], turn: int = -1
) -> tuple[int, int]:
    """Forks a child that reads its texts, keeps these descriptors as 0, 1, …, and works. -1: the last text.

    It reads once somebody has said so on `turn`. Gives the child, and where that says that it has read.
    """
    ready, done = os.pipe()
    zygote = os.getpid()
    child = os.fork()
    if child:
        os.close(done)
        return child, ready
    try:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != zygote or (turn >= 0 and os.read(turn, 1) != b"."):
            os._exit(SETUP_FAILED)
        texts = [read(size) for size in sizes]
        os.write(done, b".")
        high = [fcntl.fcntl(as_file(texts.pop()) if pipe < 0 else pipe, fcntl.F_DUPFD, 128) for pipe in pipes]
        for number, pipe in enumerate(high):
            os.dup2(pipe, number)
        os.closerange(len(high), 1 << 16)
        confine(*limits)
        sys.modules["random"].seed(0)  # the same numbers each time
        work(*texts)
    finally:
        os._exit(SETUP_FAILED)


def wait(ready: int) -> None:
    """Until the texts are read; if they are not, nobody knows where the next job begins."""
    if os.read(ready, 1) != b".":
        os._exit(SETUP_FAILED)
    os.close(ready)


def as_file(text: bytes) -> int:
    """A file in memory that can only be read."""
    file = os.memfd_create("stdin", os.MFD_ALLOW_SEALING)
    while text:
        text = text[os.write(file, text) :]
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, 15)  # no seal more, and not longer, shorter or changed
    return file


def test(sizes: tuple[int, int], null: int, limits: Limits, child: types.ModuleType) -> tuple[list[int], Any]:
    """Begins a test; gives its children, the one that decides first, and what they say."""
    asked, ask = os.pipe()
    answers, answer = os.pipe()
    verdict, say = os.pipe()
    program, read_program = spawn(sizes[:1], (null, null, null, asked, answer), limits, child.serve_program)
    os.close(asked)
    os.close(answer)
    judge, read_test = spawn(sizes[1:], (null, null, null, ask, answers, say), limits, child.judge, turn=read_program)
    for pipe in (ask, answers, say, read_program):
        os.close(pipe)
    wait(read_test)
    return [judge, program], {verdict: b"v"}


def script(sizes: tuple[int, int], limits: Limits, child: types.ModuleType) -> tuple[list[int], Any]:
    """Begins a program; gives its child and what it says."""
    output, say = os.pipe()
    errors, complain = os.pipe()
    program, read_all = spawn(sizes, (-1, say, complain), limits, child.run_script)
    os.close(say)
    os.close(complain)
    wait(read_all)
    return [program], {output: b"o", errors: b"m"}


def pass_on(pipe: int, kind: bytes) -> int:
    """What is there to be read; gives how much, 0 at the end, -1 if there is nothing yet."""
    try:
        size = os.readv(pipe, [scratch])
    except BlockingIOError:
        return -1
    if size:
        send(kind, memoryview(scratch)[:size])
        scratch[:size] = bytes(size)
    return size


def watch(children: list[int], streams: dict[int, bytes], seconds: float, most: int) -> None:
    """Passes on what they say until the first child ends or a limit is reached; then kills them, and waits for that."""
    began = time.monotonic()
    ended = os.pidfd_open(children[0])
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(0, 0)  # it says anyway when the other end is closed
    for pipe in streams:
        os.set_blocking(pipe, False)
        poll.register(pipe, select.POLLIN)
    cause, left, live = "", dict.fromkeys(streams, most), set(streams)
    while not cause:
        remains = began + seconds - time.monotonic()
        ready = [pipe for pipe, _ in poll.poll(max(0, remains * 1000))]
        if 0 in ready:
            kill(children)
            os._exit(0)
        cause = "timeout" if remains <= 0 and ended not in ready else "ended" if ended in ready else ""
        for pipe in tuple(live):
            while (size := pass_on(pipe, streams[pipe])) > 0 and left[pipe] >= size:
                left[pipe] -= size
            cause = "output" if size > 0 else cause
            if size == 0:
                live.discard(pipe)
                poll.unregister(pipe)
    codes = kill(children)
    for pipe in [ended, *streams]:
        os.close(pipe)
    send(b"e", json.dumps({"cause": cause, "codes": codes, "seconds": time.monotonic() - began}).encode())


def kill(children: list[int]) -> list[int]:
    """Kills what lives still; gives how each ended."""
    for child in children:
        os.kill(child, signal.SIGKILL)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def main() -> None:
    """Builds the walls, says so, and works until stdin ends."""
    config = json.loads(sys.argv[1])
    for name in USED_OFTEN.split():
        import_module(name)
    child = types.ModuleType("child")
    exec(config["child"], child.__dict__)
    null = os.open("/dev/null", os.O_RDWR)
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    abi = landlock_abi()
    if os.getuid() == 0:
        become_nobody(config["readable"] if config["landlock"] else [])
    if config["landlock"]:
        landlock(config["readable"])
    prctl(4, 0)  # PR_SET_DUMPABLE
    prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    gc.collect()
    gc.freeze()
    send(b"h", json.dumps({"landlock": abi, "uid": os.getuid(), "python": sys.version.split()[0]}).encode())
    while True:
        kind, first, second, seconds, memory, most = JOB.unpack(read(JOB.size))
        limits = (bytes.fromhex(config["filter"]), seconds, memory)
        begun = test((first, second), null, limits, child) if kind == b"t" else script((first, second), limits, child)
        watch(*begun, seconds, most if kind == b"s" else len(scratch))


if __name__ == "__main__":
    main()
