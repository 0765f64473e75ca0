"""Fences: how candidates are shown to a judge so that they cannot pass for anything else.

Candidates are text from a model, so they may try to end their own block or to imitate a verdict. Each set is put
between marks that hold a key derived from all the texts shown: to write the closing mark, a text would have to contain
its own SHA-256. Tokens that chat templates treat as control are broken up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

_CONTROL = re.compile(r"<(?=\|)|<(?=/?s>)|\[(?=/?INST\])|<(?=(?:start|end)_of_turn>)")
_BLOCK = re.compile(r"^<(\w+) (\d+) key=([0-9a-f]{12})>\n(.*?)\n^</\1 \3>$", re.MULTILINE | re.DOTALL)


def neutral(text: str) -> str:
    """The text with chat-template control tokens broken by a space."""
    return _CONTROL.sub(lambda m: m[0] + " ", text)


def fence(texts: Sequence[str], label: str = "candidate") -> str:
    """The texts as numbered blocks, counted from 1, that none of them can close."""
    clean = [neutral(text) for text in texts]
    key = sha256("\0".join(clean).encode(errors="surrogatepass")).hexdigest()[:12]
    return "\n\n".join(f"<{label} {i} key={key}>\n{text}\n</{label} {key}>" for i, text in enumerate(clean, 1))


def fenced(text: str, label: str = "candidate") -> list[str]:
    """The texts that `fence` put into a prompt, in order."""
    return [m[4] for m in _BLOCK.finditer(text) if m[1] == label]
