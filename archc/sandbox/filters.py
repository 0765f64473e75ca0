"""The system calls that model-written code may make, as seccomp filters: classic BPF, made here for each architecture.

It is a list of what is allowed. No process, no socket, no file but for reading, no signal to anyone, nothing new that
would outlive the process. What is not on the list fails with EPERM, so that Python raises an OSError and goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType

_EVERYWHERE = {  # name: (x86-64, aarch64)
    "read": (0, 63),
    "write": (1, 64),
    "futex": (202, 98),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "close": (3, 57),
    "close_range": (436, 436),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "lseek": (8, 62),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "dup": (32, 23),
    "dup3": (292, 24),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getcpu": (309, 168),
    "gettimeofday": (96, 169),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "getrandom": (318, 278),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "membarrier": (324, 283),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "ppoll": (271, 73),
    "pselect6": (270, 72),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_X86_ONLY = {"stat": 4, "lstat": 6, "access": 21, "readlink": 89, "dup2": 33, "poll": 7, "select": 23, "time": 201}

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026

_NUMBER, _ARCHITECTURE = 0, 4
"""Where the kernel puts them in what a filter reads; the arguments follow at 16, eight bytes each."""

_NEW_FILE_OR_WRITE = 0o3 | 0o100 | 0o1000 | 0o20000000
"""O_ACCMODE, O_CREAT, O_TRUNC and O_TMPFILE: with any of these `openat` could leave something behind."""

_THREADS = (0x3D0F00, 0x7D0F00)
"""The flags with which glibc and musl begin a thread. Any other `clone` would be a process."""

_FCNTL = (0, 1, 2, 3, 1030)
"""Duplicate, and read or set the flags of a descriptor. F_SETOWN is left out: it can send signals to others."""

_IOCTL = (0x5401, 0x5413, 0x5451)
"""TCGETS and TIOCGWINSZ (is it a terminal?), FIOCLEX."""

_Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def _filter(architecture: int, column: int, only_here: Mapping[str, int], special: Mapping[str, int]) -> bytes:
    code: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # 32-bit calls in a 64-bit process have other numbers
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number in [*(pair[column] for pair in _EVERYWHERE.values()), *only_here.values()]:
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    code += _when(special["openat"], [*_argument(2), (_ANY_BIT, 1, 0, _NEW_FILE_OR_WRITE), *_either()])
    code += _when(special["clone"], _one_of(0, _THREADS))
    code += _when(special["clone3"], [(_RETURN, 0, 0, _ENOSYS)])  # glibc then begins its threads with `clone`
    code += _when(special["fcntl"], _one_of(1, _FCNTL))
    code += _when(special["ioctl"], _one_of(1, _IOCTL))
    new_limit = [*_argument(2), (_EQUAL, 0, 3, 0), *_argument(2, high=True), (_EQUAL, 0, 1, 0), *_either()]
    code += _when(special["prlimit64"], new_limit)  # only to ask
    code.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("<HBBI", *one) for one in code)


def _when(number: int, body: Sequence[_Instruction]) -> list[_Instruction]:
    """The body, which must return, for that call."""
    return [(_EQUAL, 0, len(body), number), *body]


def _argument(index: int, high: bool = False) -> list[_Instruction]:
    return [(_LOAD, 0, 0, 16 + 8 * index + 4 * high)]


def _either() -> list[_Instruction]:
    """Allowed if the jump before falls through, refused if it jumps over one."""
    return [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]


def _one_of(index: int, values: Sequence[int]) -> list[_Instruction]:
    tests = [(_EQUAL, len(values) - 1 - i, 0 if i < len(values) - 1 else 1, v) for i, v in enumerate(values)]
    return [*_argument(index), *tests, *_either()]


_X86_SPECIAL = {"openat": 257, "clone": 56, "clone3": 435, "fcntl": 72, "ioctl": 16, "prlimit64": 302}
_ARM_SPECIAL = {"openat": 56, "clone": 220, "clone3": 435, "fcntl": 25, "ioctl": 29, "prlimit64": 261}

FILTERS: Mapping[str, bytes] = MappingProxyType(
    {
        "x86_64": _filter(0xC000003E, 0, _X86_ONLY, _X86_SPECIAL),
        "aarch64": _filter(0xC00000B7, 1, {}, _ARM_SPECIAL),
    }
)
"""The filter of each architecture, by the name that `platform.machine` gives it."""
