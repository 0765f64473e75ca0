"""What runs in the children of a worker's zygote: the program's side, the test's side, and whole programs.

A test has two children. One has the program and calls its functions; the other has the test and asks for these calls
through two pipes, in JSON of plain values. So nothing that a program does to itself can change what the test sees.
The zygote is given this file as text; it imports nothing of archc.
"""

from __future__ import annotations

import atexit
import builtins
import json
import os
import re
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

DEPTH = 60
"""How deep a value may be nested that crosses."""
LONGEST = 64 << 20
"""Of an answer, in bytes."""
CALLS_CHECK = re.compile(r"^check\(", re.MULTILINE)


# ---- plain values as JSON: no type of the sender's, and no object, crosses


def packed(value: Any, depth: int = DEPTH) -> Any:
    """A value of builtin types, or of subclasses of them, in JSON. Raises TypeError for anything else."""
    if depth == 0:
        raise TypeError("it is nested too deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(1 << 62) < value < 1 << 62 else {"i": int.__format__(value, "x")}
    if isinstance(value, float):
        return {"f": float.hex(value)}
    if isinstance(value, str):
        return str.__str__(value)
    for kind, (tag, take) in TAKEN.items():
        if isinstance(value, kind):
            return {tag: take(value, depth - 1)}
    raise TypeError(f"a value of type {type(value).__name__} is no plain data")


def each(values: Any, depth: int) -> list[Any]:
    """All of them, packed."""
    return [packed(v, depth) for v in values]


TAKEN: dict[type, tuple[str, Callable[[Any, int], Any]]] = {
    list: ("l", each),
    tuple: ("t", each),
    dict: ("d", lambda v, depth: [each(pair, depth) for pair in dict.items(v)]),
    set: ("s", each),
    frozenset: ("z", each),
    complex: ("c", lambda v, _: [v.real.hex(), v.imag.hex()]),
    bytes: ("b", lambda v, _: v.hex()),
    bytearray: ("a", lambda v, _: v.hex()),
    range: ("r", lambda v, depth: each((v.start, v.stop, v.step), depth)),
    Iterator: ("n", each),
}


UNPACK: dict[str, Callable[[Any], Any]] = {
    "i": lambda v: int(v, 16),
    "f": float.fromhex,
    "c": lambda v: complex(*map(float.fromhex, v)),
    "b": bytes.fromhex,
    "a": bytearray.fromhex,
    "r": lambda v: range(*map(unpacked, v)),
    "d": lambda v: {unpacked(k): unpacked(w) for k, w in v},
    "l": lambda v: [unpacked(w) for w in v],
    "t": lambda v: tuple(unpacked(w) for w in v),
    "s": lambda v: {unpacked(w) for w in v},
    "z": lambda v: frozenset(unpacked(w) for w in v),
    "n": lambda v: iter([unpacked(w) for w in v]),
    "o": lambda v: Opaque(str(v[0]), v[1] is True),
}


class Opaque:
    """Something of the program's that can't cross. It is true or false, and equal to nothing but itself."""

    def __init__(self, name: str, truth: bool) -> None:
        self.name, self.truth = name, truth

    def __bool__(self) -> bool:
        return self.truth

    def __repr__(self) -> str:
        return f"<{self.name[:60]}>"


def unpacked(value: Any) -> Any:
    """The value again. Raises many kinds of error for what `packed` did not write."""
    if type(value) is not dict:
        return value
    ((tag, inner),) = value.items()
    return UNPACK[tag](inner)


def told(error: BaseException) -> dict[str, str]:
    """An exception by the name of the nearest builtin class."""
    name = next(k.__name__ for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k)
    try:
        text = str(error)[:2000]
    except BaseException:  # noqa: BLE001
        text = ""
    return {"x": name, "m": text}


# ---- the child that has the program


def load(name: str, text: str) -> dict[str, Any]:
    """Runs a text as a module of that name; gives its names."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    sys.argv = [f"{name}.py"]
    exec(compile(text, f"<{name}>", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def serve_program(text: bytes) -> None:
    """Loads a program, says what its names are, and calls its functions until nobody asks any more."""
    with open(3, "rb", closefd=False) as asked, open(4, "wb", 0, closefd=False) as answers:
        for line in asked:
            ask = json.loads(line)
            try:
                if "names" in ask:
                    scope = load("program", text.decode())
                    answer: dict[str, Any] = {name: described(scope[name]) for name in ask["names"] if name in scope}
                else:
                    answer = called(scope, ask)
            except BaseException as error:  # noqa: BLE001
                answer = told(error)
            answers.write(json.dumps(answer).encode() + b"\n")


def described(value: Any) -> dict[str, Any]:
    """What a name of the program means, without running anything of it that the test did not ask for."""
    if isinstance(value, types.ModuleType):
        return {"module": value.__name__}
    try:
        return {"function": True} if callable(value) else {"value": packed(value)}
    except TypeError:
        return {"function": True}


def called(scope: dict[str, Any], ask: dict[str, Any]) -> dict[str, Any]:
    """Calls a function of the program; tells which of its arguments it changed."""
    arguments, named = unpacked(ask["a"]), unpacked(ask["k"])
    value = scope[ask["f"]](*arguments, **named)
    try:
        result = packed(value)
    except TypeError:
        result = {"o": [type(value).__name__, bool(value)]}
    after = {i: packed(a) for i, a in enumerate(arguments) if isinstance(a, (list, dict, set, bytearray))}
    before = ask["a"]["l"]
    return {"v": result, "changed": {i: value for i, value in after.items() if value != before[i]}}


# ---- the child that has the test


class Gone(BaseException):
    """The program is not there any more, or speaks nonsense, so that no test of it can pass."""


class Program:
    """The program as the test sees it."""

    def __init__(self) -> None:
        self.asked = open(3, "wb", 0, closefd=False)  # noqa: SIM115
        self.answers = open(4, "rb", closefd=False)  # noqa: SIM115
        self.end: tuple[str, str] | None = None
        self.last = ""

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            self.asked.write(json.dumps(question).encode() + b"\n")
            line = self.answers.readline(LONGEST)
            if not line.endswith(b"\n"):
                raise self.ends("killed", "the program ended before it answered, or answered too much")
            answer = json.loads(line)
            return {str(k): v for k, v in answer.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            raise self.ends("killed", "the program ended before it answered, or answered nonsense") from None

    def ends(self, status: str, message: str) -> Gone:
        self.end = self.end or (status, message)
        return Gone(message)

    def call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self.end:
            raise Gone(self.end[1])
        answer = self.ask({"f": name, "a": packed(list(arguments)), "k": packed(named)})
        self.last = f"{name}({', '.join([*map(short, arguments), *(f'{k}={short(v)}' for k, v in named.items())])})"
        if "x" in answer:
            self.last += f" raised {str(answer['x'])[:60]}"
            raise self.raised(answer)
        try:
            value = unpacked(answer["v"])
            changed = {int(i): unpacked(v) for i, v in answer["changed"].items()}
        except Exception:  # noqa: BLE001
            raise self.ends("killed", "the program answered nonsense") from None
        self.last += f" gave {short(value)}"
        for i, new in changed.items():
            old: Any = arguments[i] if i < len(arguments) else None
            if type(old) is not type(new) or not isinstance(old, (list, dict, set, bytearray)):
                raise self.ends("killed", "the program answered nonsense")
            old.clear()
            (old.update if isinstance(old, (dict, set)) else old.extend)(new)
        return value

    def raised(self, answer: dict[str, Any]) -> BaseException:
        kind, message = getattr(builtins, str(answer["x"]), None), str(answer.get("m", ""))[:2000]
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            return self.ends("error", f"the program raised {str(answer['x'])[:60]}")
        try:
            return kind(message)
        except TypeError:  # one that wants more than a message
            return ValueError(message)

    def function(self, name: str) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            return self.call(name, arguments, named)

        ask.__name__ = ask.__qualname__ = name
        return ask


def short(value: Any) -> str:
    """How a value looks, cut."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out integers of many digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 120 else text[:117] + "..."


def judge(text: bytes) -> None:
    """Runs a test and writes its verdict to descriptor 5."""
    given = json.loads(text)
    program = Program()
    try:
        status, message = verdict(program, given["test"], given["trusted"], given["entry"])
    except BaseException as error:  # noqa: BLE001
        status = "failed" if isinstance(error, AssertionError) else "error"
        message = reason(error, given["test"], program)
    status, message = program.end or (status, message)
    os.write(5, json.dumps({"status": status, "message": message[:2000]}).encode())


def verdict(program: Program, test: str, trusted: str, entry: str | None) -> tuple[str, str]:
    """Runs the test. Raises whatever the test raises."""
    scope = load("test", trusted)
    code = compile(test, "<test>", "exec", dont_inherit=True)
    wanted = {name for name in mentioned(code) if name not in scope and not hasattr(builtins, name)}
    found = program.ask({"names": sorted(wanted | ({entry} if entry else set()))})
    if "x" in found and isinstance(found["x"], str):
        return "error", f"the program does not load: {found['x'][:60]}: {str(found.get('m', ''))[:1000]}"
    if entry and entry not in found:
        return "error", f"the program has no `{entry}`"
    for name in wanted | ({entry} if entry else set()):
        if name in found:
            scope[name] = bound(program, name, found[name])
    exec(code, scope)
    check = scope.get("check")
    if entry and isinstance(check, types.FunctionType) and not CALLS_CHECK.search(test):
        check(scope[entry])
    return "passed", ""


def mentioned(code: types.CodeType) -> Iterator[str]:
    """Every name that a code, or one within it, may look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from mentioned(constant)


def bound(program: Program, name: str, what: dict[str, Any]) -> Any:
    """A name of the program in the test: a value, a module of Python's own, or a function that asks."""
    try:
        if what.get("module") in sys.stdlib_module_names:
            return import_module(what["module"])
        return unpacked(what["value"]) if "value" in what else program.function(name)
    except Exception:  # noqa: BLE001
        raise program.ends("killed", "the program answered nonsense") from None


def reason(error: BaseException, test: str, program: Program) -> str:
    """The line of the test where it went wrong, the last call, and what was raised."""
    lines = [at for frame, at in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<test>"]
    line = test.splitlines()[lines[-1] - 1].strip() if lines else ""
    what = told(error)
    said = f"{what['x']}: {what['m']}" if what["m"] or what["x"] != "AssertionError" else ""
    return "; ".join(part for part in (line[:500], program.last, said) if part)


# ---- the child that is a whole program


def run_script(text: bytes) -> None:
    """A program with its input on stdin, and what Python does at its end."""
    code = 0
    try:
        load("__main__", text.decode())
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001
        traceback.print_exc(limit=-3)
        code = 1
    vars(threading)["_shutdown"]()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255)
