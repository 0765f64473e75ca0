"""Texts in and out of commands: standard input, and files that are replaced as a whole or not at all."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from archc import errors
from archc.diagnostics import RunError, SpecError


def standard_input() -> str:
    """All of standard input. Raises SpecError if it is not UTF-8."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise SpecError(errors.NoSuchFile(path="-", problem="it is not UTF-8 text")) from None


def replace_file(path: Path, text: str) -> None:
    """Puts a text into a file, which keeps its mode and is never seen half written. Raises RunError if it can't."""
    target = path.resolve()  # a link stays one
    temporary = None
    try:
        mode = target.stat().st_mode if target.exists() else None
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}-", delete=False) as file:
            temporary = Path(file.name)
            file.write(text.encode())
        temporary.chmod(0o644 if mode is None else mode & 0o7777)
        temporary.replace(target)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise RunError(errors.NotWritable(path=str(path), problem=error.strerror or str(error))) from None
