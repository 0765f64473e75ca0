"""How a command ends: diagnostics for people or as JSON, and the exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import typer

import archc
from archc.diagnostics import Diagnostic, RunError, SpecError, render_all
from archc.secret import masked, masked_line

OK, FAILED, WRONG_INPUT, EXHAUSTED, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130


def guarded(command: Callable[[], Any], as_json: bool) -> int:
    """Runs a command; gives the exit code. No user error shows a traceback."""
    try:
        result = command()
        if result == INTERRUPTED:  # how typer says that Ctrl-C ended it
            raise KeyboardInterrupt
        return result if isinstance(result, int) else OK
    except SpecError as error:
        show(error.diagnostics, as_json)
        return WRONG_INPUT
    except RunError as error:
        show([error.diagnostic], as_json)
        return FAILED
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; what was paid for is in the journal, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # the parser's own, about the command line
            error.show()
            return WRONG_INPUT
        _report_bug(error)
        return BUG


def show(diagnostics: Sequence[Diagnostic], as_json: bool) -> None:
    """Errors and warnings: on stderr for people, as one JSON object on stdout for machines."""
    if as_json:
        text = json.dumps({"ok": False, "diagnostics": [d.as_json() for d in diagnostics]}, ensure_ascii=False)
        print(text.encode("utf-8", "backslashreplace").decode())  # a path may not be text
    else:
        print(render_all(diagnostics), file=sys.stderr)


def _report_bug(error: Exception) -> None:
    inner: BaseException = error
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    frames = [f for f in traceback.extract_tb(inner.__traceback__) if "archc" in f.filename]
    where = f" in {frames[-1].filename.rpartition('archc/')[2]}:{frames[-1].lineno}" if frames else ""
    print(
        f"this is a bug in archc {archc.__version__}: {type(inner).__name__}: {masked(str(inner))}{where}\n"
        f"please report it with the spec and the command: archc {masked_line(' '.join(sys.argv[1:]))}\n"
        "ARCHC_TRACEBACK=1 shows the whole traceback",
        file=sys.stderr,
    )
    if os.environ.get("ARCHC_TRACEBACK"):
        traceback.print_exception(error)
