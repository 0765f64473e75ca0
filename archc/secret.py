"""Secret: a text that must not show, and how texts that hold one are told and cleaned."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from urllib.parse import quote

PLACEHOLDER = 16
"""A key shorter than this stands for none (`EMPTY`, `none`): it may be a word of an answer, which is left alone."""


class Secret:
    """A text that shows as `***` wherever it is printed; only `reveal` gives it."""

    __slots__ = ("_forms", "_text")

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._forms = _forms(text) if text else ()

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def redact(self, text: str) -> str:
        """`text` with `***` where the secret was, as it is or written for a URL, for JSON, in hexadecimal or base64."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, "***")
        return text

    def redact_answer(self, text: str) -> str:
        """The same for what a model wrote, where a placeholder for a key may be a word."""
        return self.redact(text) if len(self._text) >= PLACEHOLDER else text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written to a file")


def _forms(text: str) -> tuple[str, ...]:
    """The secret as a server may write it, the longest first, so that none is cut by another."""
    as_json = json.dumps(text)[1:-1]
    forms = {text, as_json, as_json.replace("/", "\\/")}
    raw = text.encode(errors="surrogatepass")
    for quoted in (quote(raw, safe=""), quote(raw)):
        forms |= {quoted, re.sub("%..", lambda m: m[0].lower(), quoted)}
    if len(raw) >= 8:  # what is shorter would be found in texts that have nothing to do with it
        forms |= {raw.hex(), raw.hex().upper(), *_in_base64(raw)}
    return tuple(sorted(forms, key=len, reverse=True))


def _in_base64(raw: bytes) -> set[str]:
    """What base64 makes of it after 0, 1 or 2 bytes of something else (`Bearer `, `user:`), without what they share."""
    forms = set()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode()
        own = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        forms |= {own, own.replace("+", "-").replace("/", "_")}
    return forms


_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|rk|gsk|xai|pplx|nvapi|tgp|fw|csk|r8|hf|ghp|gho|ghs|glpat)[-_](?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{16,}"
    r"|github_pat_\w{20,}|AIza[\w-]{30,}|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|eyJ[\w-]{8,400}\.[\w-]{8,4000}\.[\w-]+"
    r"|[Bb]earer +(?=[A-Za-z_.~+/=-]{0,60}[0-9])[\w.~+/=-]{8,})"
)
"""The keys of known providers, and tokens. What is looked for ahead is bounded: lines of specs are hostile and long."""

_NAMES = re.compile(
    r"(?:[a-z0-9]+_)*(?:api_?key|authorization|password|passwd|secret|credentials?|(?:access|auth|api|bearer)_?token)"
    r"|(?:x_)?(?:token|bearer|auth)"
)
_VARIABLES = re.compile(r"(?:.*_)?(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)", re.IGNORECASE)
_ASSIGNED = re.compile(r"""(?<![\w-])([\w-]+)["']?\s*[:=]\s*(?:"([^"]+)|'([^']+)|([^\s"'{}\[\],()$][^\s"',})\]]*))""")


def has_key(text: str) -> bool:
    """Whether there is something in it that looks like an API key."""
    return _SHAPES.search(text) is not None


def names_secret(key: str) -> bool:
    """Whether what a spec calls so is a secret, such as `api_key` or `Authorization`."""
    return _NAMES.fullmatch(key.lower().replace("-", "_")) is not None


def variable_of_secret(name: str) -> bool:
    """Whether an environment variable of that name holds a secret, such as `HF_TOKEN`."""
    return _VARIABLES.fullmatch(name) is not None


def masked(text: str) -> str:
    """The text with stars in the place of what looks like an API key; as long as before."""
    return _SHAPES.sub(lambda m: "*" * len(m[0]), text)


@lru_cache(maxsize=16)  # a spec may be one long line with two hundred mistakes
def masked_line(line: str) -> str:
    """The same for a line of a spec, where what a name says to be a secret goes too."""
    return masked(_ASSIGNED.sub(_without_value, line))


def _without_value(found: re.Match[str]) -> str:
    if not names_secret(found[1]):
        return found[0]
    start, end = next(found.span(i) for i in (2, 3, 4) if found[i])
    whole, at = found[0], found.start()
    return whole[: start - at] + "*" * (end - start) + whole[end - at :]
