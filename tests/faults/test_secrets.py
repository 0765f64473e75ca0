"""Nothing that a run writes or says has a key in it, though the servers send the key back in every way they can.

Real `archc` processes run against a server that echoes the key that it got; then everything they left is searched.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import traceback
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import apsw
import pytest

from archc import api
from archc.calls import CallError
from archc.cli._ending import guarded
from archc.diagnostics import SpecError, render
from archc.source import Source
from tests.openai_calls import asked, connected
from tests.servers import Answer, Raw, completion, serve

KEY = "sk-canary/7Qx+91=zzTop0123456789"


def echoes() -> list[str]:
    """The key as a server may write it."""
    basic = [
        base64.b64encode(f"{before}{KEY}{after}".encode()).decode()
        for before in ("", "u:", "Bearer ")
        for after in ("", "!")
    ]
    return [
        KEY,
        quote(KEY, safe=""),
        KEY.encode().hex(),
        json.dumps(KEY),
        json.dumps(KEY).replace("/", "\\/"),
        *basic,
        base64.urlsafe_b64encode(KEY.encode()).decode(),
    ]


ECHO = " ".join(f"[{i}] {form}" for i, form in enumerate(echoes()))
SHORT = KEY + " " + base64.b64encode(f"Bearer {KEY}".encode()).decode()
HEADERS = {"X-Request-Id": SHORT, "Set-Cookie": f"key={quote(KEY)}", "WWW-Authenticate": SHORT, "X-Echo": ECHO}


def failed(status: int, message: str = ECHO, **fields: Any) -> Raw:
    return Raw(json.dumps({"error": {"message": message, **fields}}).encode(), status, HEADERS)


ANSWERS: dict[str, Answer] = {
    "completion": completion(f"The answer is 4. {ECHO}"),
    "compressible completion": completion(f"{ECHO} " * 50),
    "401": failed(401),
    "400": failed(400, code=KEY, type=SHORT, param=quote(KEY)),
    "429": failed(429),
    "500, not JSON": Raw(ECHO.encode(), 500, HEADERS),
    "503, cut": failed(503, "x" * 280 + KEY),
    "redirect": Raw(status=307, headers={"Location": f"http://127.0.0.1:9/{quote(KEY)}?k={KEY}"}),
    "an error as the answer": Raw(json.dumps({"error": {"code": 400, "message": ECHO}}).encode()),
    "another as the answer": Raw(json.dumps({"error": ECHO}).encode()),
    "an odd choice": completion("x", choices=[{"message": {"content": "x"}, "index": KEY, "finish_reason": ECHO}]),
    "an odd end": completion("x", choices=[{"message": {"content": "x"}, "finish_reason": ECHO}], model=ECHO, id=KEY),
    "garbage": Raw(ECHO.encode()),
    "encoded": Raw(b"{}", headers={"Content-Encoding": re.sub(r"\W", "", KEY) + KEY}),
}

SPEC = """
name: secrets
models:
  m: {{backend: openai, model: m, base_url: "{url}", api_key_env: CANARY_API_KEY, retries: 0}}
pipeline:
  - generate: {{model: m, n: 3}}
  - critique: {{model: m, by: each}}
  - fuse: {{model: m}}
"""


def found_in(raw: bytes) -> list[str]:
    """The ways in which the key is in it. Looks otherwise than the code that takes it out."""
    text = raw.decode("utf-8", "replace")
    unescaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text).replace("\\", "")
    texts = {text, unquote(text), unescaped, text.replace("\n", "")}
    hits = [shown for shown in texts if KEY in shown]
    for word in re.findall(r"[A-Za-z0-9+/_-]{24,}", text):
        even = word if len(word) % 2 == 0 else word[:-1]
        hits += [word for _ in [0] if re.fullmatch("[0-9A-Fa-f]+", even) and KEY.encode() in bytes.fromhex(even)]
        plain = word.replace("-", "+").replace("_", "/")
        cuts = (plain[at : at + (len(plain) - at) // 4 * 4] for at in range(4))
        hits += [word for cut in cuts if KEY.encode()[:16] in base64.b64decode(cut)]
    return hits


def test_the_search_finds_what_is_there() -> None:
    for form in echoes():
        assert found_in(f"a {form} b".encode()), form
    assert found_in(b"nothing") == []


def left_in(folder: Path) -> dict[str, bytes]:
    """All that was written there by the file's name; of journals also each value, decompressed."""
    left = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        left[path.name] = path.read_bytes()
        if left[path.name].startswith(b"SQLite format 3"):
            left[f"{path.name}: values"] = b"\n".join(values_in(path))
    return left


def values_in(database: Path) -> Iterator[bytes]:
    connection = apsw.Connection(str(database))
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for value in (value for row in connection.execute(f'SELECT * FROM "{table}"') for value in row):
            raw = value if isinstance(value, bytes) else str(value).encode()
            yield raw
            with suppress(zlib.error):
                yield zlib.decompress(raw)


async def archc(folder: Path, *words: str) -> bytes:
    """Runs a command there; what it printed."""
    environ = {**os.environ, "CANARY_API_KEY": KEY, "ARCHC_CONFIG": str(folder / "config.toml"), "ARCHC_TRACEBACK": "1"}
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-m", "archc", *words),
        env=environ,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"this is a bug" not in err, err.decode()
    return out + err


def test_nothing_that_is_written_or_printed_has_the_key_in_it(tmp_path: Path) -> None:
    answers = list(ANSWERS.values())
    counts = iter(range(10**9))
    sent: set[str] = set()

    def script(body: dict[str, Any]) -> Answer:
        turn, odd = divmod(next(counts), 2)
        return answers[turn % len(answers)] if odd else [f"The answer is 4. {ECHO}"] * body.get("n", 1)

    async def go() -> bytes:
        async with serve(script) as server:
            (tmp_path / "spec.yaml").write_text(SPEC.format(url=server.url))
            questions = [json.dumps({"id": str(i), "question": f"What is {i}?"}) for i in range(30)]
            (tmp_path / "in.jsonl").write_text("\n".join(questions))
            common = ("--journal", "journal.sqlite", "--trace", "trace.jsonl")
            said = [
                await archc(tmp_path, "run", "spec.yaml", "--input", "in.jsonl", "--output", "out.jsonl", *common),
                await archc(tmp_path, "run", "spec.yaml", "Why?", "--seed", "1", *common),
                await archc(tmp_path, "run", "spec.yaml", "Why?", "--json", "--seed", "9", *common),
                await archc(tmp_path, "keys", "list"),
            ]
            sent.update(r.headers["Authorization"] for r in server.requests)
            return b"".join(said)

    printed = asyncio.run(go())
    assert sent == {f"Bearer {KEY}"}
    assert next(counts) > 2 * len(answers)
    left = left_in(tmp_path)
    for name in ("journal.sqlite: values", "out.jsonl", "trace.jsonl"):
        assert b"***" in left[name], f"no echo came as far as {name}"
    assert {name: hits for name, raw in [*left.items(), ("printed", printed)] if (hits := found_in(raw))} == {}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_no_exception_or_object_shows_the_key(answer: Answer) -> None:
    async def go() -> str:
        async with serve(answer) as server, connected(server.url, key_for=lambda *_: KEY, api_key_env="K") as backend:
            try:
                shown = repr(await backend.complete(asked()))
            except CallError as error:
                shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(error.args)
            return shown + repr(vars(backend)) + repr(backend._replicas) + backend.fingerprint + repr(backend._options)

    assert found_in(asyncio.run(go()).encode()) == []


PASTED = "sk-canary-0123456789"


@pytest.mark.parametrize(
    "options",
    [
        f'model: m, api_key: "{PASTED}"',
        f'model: m, extra_body: {{user: "Bearer {PASTED}"}}',
        f'model: m, extra_body: {{nested: [{{Authorization: "{PASTED}"}}]}}',
        f'model: "{PASTED}"',
        f'model: m, api_key_env: "{PASTED}"',
        f"model: m, concurrency: {PASTED}",
        f"model: m, backend: {PASTED}",
        'model: "${CANARY_API_KEY}"',
        'model: m, extra_body: {user: "${CANARY_API_KEY}"}',
        'model: "${INNOCENT}"',
    ],
)
def test_a_key_in_a_spec_is_refused_and_not_shown(options: str) -> None:
    backend = "" if "backend" in options else "backend: openai, "
    text = f'models: {{m: {{{backend}base_url: "http://127.0.0.1:1/v1", {options}}}}}\npipeline: [{{generate: m}}]\n'
    with pytest.raises(SpecError) as caught:
        api.compile(Source("spec.yaml", text), environ={"CANARY_API_KEY": PASTED, "INNOCENT": f"x {PASTED}"})
    told = caught.value.diagnostics
    assert "secret-in-spec" in {d.name for d in told}
    shown = [render(d) + render(d, "concise") + json.dumps(d.as_json()) + repr(d) for d in told]
    assert "canary" not in "".join([*shown, str(caught.value), repr(caught.value)])


def test_a_report_of_a_bug_has_no_key_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ValueError(f"no {PASTED}")

    monkeypatch.setattr(
        sys, "argv", ["archc", "run", "--set", "models.m.api_key=hunter2", "--set", f"models.m.x={PASTED}"]
    )
    assert guarded(broken, as_json=False) == 70
    said = capsys.readouterr().err
    assert "--set models.m.x=***" in said
    assert "canary" not in said
    assert "hunter2" not in said
