"""`archc lsp`: a whole session over stdin and stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "archc", "lsp"]
TEXT = 'model small = simulated("𝔸")\ngenerate(small, n=2) -> rank(smal)\n'


class Editor:
    """The other end of a server."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        assert server.stdin
        assert server.stdout
        self.writes: IO[bytes] = server.stdin
        self.reads: IO[bytes] = server.stdout
        self.count = 0

    def send(self, method: str, params: Any, **more: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        self.writes.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.writes.flush()

    def read(self) -> Any:
        length = 0
        while line := self.reads.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the server has ended"
        return json.loads(self.reads.read(length))

    def ask(self, method: str, params: Any) -> Any:
        self.count += 1
        self.send(method, params, id=self.count)
        while (message := self.read()).get("id") != self.count:
            pass
        return message["result"]

    def change(self, document: Any, version: int, text: str) -> None:
        changed = {"textDocument": {**document, "version": version}, "contentChanges": [{"text": text}]}
        self.send("textDocument/didChange", changed)

    def told(self) -> list[Any]:
        """The diagnostics that come next."""
        while (message := self.read()).get("method") != "textDocument/publishDiagnostics":
            pass
        found = message["params"]["diagnostics"]
        assert isinstance(found, list)
        return found


def place(line: int, column: int) -> dict[str, int]:
    return {"line": line, "character": column}


@contextmanager
def editor() -> Iterator[Editor]:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as server:
        try:
            yield Editor(server)
            server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == 0


@pytest.mark.skipif(not find_spec("pygls"), reason="pygls is not installed")
def test_a_session(tmp_path: Path) -> None:
    (tmp_path / "part.arch").write_text("generat(small)\n", encoding="utf-8")
    uri = (tmp_path / "spec.arch").as_uri()
    document = {"uri": uri}

    with editor() as client:
        able = client.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["capabilities"]
        client.send("initialized", {})
        opened = {**document, "languageId": "archc", "version": 1, "text": TEXT}
        client.send("textDocument/didOpen", {"textDocument": opened})
        [wrong] = client.told()
        client.change(document, 2, TEXT.replace("smal)", "small)"))
        fixed = client.told()
        shown = client.ask("textDocument/hover", {"textDocument": document, "position": place(1, 3)})
        offered = client.ask("textDocument/completion", {"textDocument": document, "position": place(1, 30)})
        client.change(document, 3, TEXT.replace("rank(smal)", 'use "part.arch"'))
        elsewhere = client.told()
        client.send("textDocument/didClose", {"textDocument": document})
        closed = client.told()
        client.ask("shutdown", None)
        client.send("exit", None)

    assert able["hoverProvider"]
    assert able["completionProvider"]["triggerCharacters"]
    assert able["textDocumentSync"]["change"] == 1
    assert (wrong["code"], wrong["severity"], wrong["source"]) == ("unknown-model", 1, "archc")
    assert wrong["range"] == {"start": place(1, 29), "end": place(1, 33)}
    assert "did you mean `small`?" in wrong["message"]
    assert fixed == closed == []
    assert shown["contents"]["value"].startswith("**generate**\n\n`generate`: 2 calls of small, depth 1")
    assert shown["range"] == {"start": place(1, 0), "end": place(1, 8)}
    assert {item["label"] for item in offered} >= {"small", "top_k"}
    assert next(item for item in offered if item["label"] == "small")["textEdit"]["newText"] == "small"
    [label] = elsewhere[0]["relatedInformation"][:1]
    assert elsewhere[0]["code"] == "unknown-op"
    assert label["location"]["uri"] == (tmp_path / "part.arch").as_uri()


def test_without_pygls_it_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "pygls.py").write_text("raise ImportError", encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from archc.cli import main; main(['lsp'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 2
    assert "pip install 'archc[editor]'" in done.stderr
    assert done.stdout == ""
