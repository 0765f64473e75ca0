"""A server that costs little: one process that answers chat completions after 50 ms and 1 ms for each token asked for.

python -m benchmarks.peers.latency        prints its URL, serves until its input ends

`GET /stats` says what it saw since it was last asked: calls, the most at once, and how late its answers were.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
from typing import Any

from archc.api import run_loop
from benchmarks.peers.shapes import BEFORE_S, TOKEN_S
from benchmarks.server import ANSWER, reply

NUMBER = itertools.count()
"""Each text is another one: equal ones are judged once by who is clever."""
SEEN = {"calls": 0, "in_flight": 0, "most_in_flight": 0, "late_s": 0.0}


class Peer(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.bytes = b""

    def data_received(self, data: bytes) -> None:
        self.bytes += data
        while (head := self.bytes.find(b"\r\n\r\n")) >= 0:
            lines = self.bytes[:head].lower()
            at = lines.find(b"content-length:")
            length = int(lines[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.bytes) < head + 4 + length:
                return
            path, body = self.bytes.split(b" ", 2)[1], self.bytes[head + 4 : head + 4 + length]
            self.bytes = self.bytes[head + 4 + length :]
            if path.endswith(b"/chat/completions"):
                self.asked(json.loads(body))
            else:
                self.write(json.dumps(SEEN).encode())
                SEEN.update(calls=0, most_in_flight=0, late_s=0.0)

    def asked(self, body: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        tokens = body.get("max_tokens") or body.get("max_completion_tokens") or 150
        n = body.get("n") or 1
        SEEN["calls"] += n
        SEEN["in_flight"] += 1
        SEEN["most_in_flight"] = max(SEEN["most_in_flight"], SEEN["in_flight"])
        loop.call_at(due := loop.time() + BEFORE_S + TOKEN_S * tokens, self.answer, body, n, tokens, due)

    def answer(self, body: dict[str, Any], n: int, tokens: int, due: float) -> None:
        SEEN["in_flight"] -= 1
        SEEN["late_s"] += asyncio.get_running_loop().time() - due
        text = reply(body)
        if "[[ ## answer ## ]]" in str(body["messages"][-1]["content"]):  # dspy's form
            text = f"[[ ## answer ## ]]\n{text}\n\n[[ ## completed ## ]]"
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": f"{next(NUMBER)}. {text}" if text == ANSWER else text},
                "finish_reason": "stop",
                "logprobs": None,
            }
            for i in range(n)
        ]
        usage = {"prompt_tokens": 100, "completion_tokens": n * tokens, "total_tokens": 100 + n * tokens}
        told = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
        self.write(json.dumps({**told, "usage": usage}).encode())

    def write(self, body: bytes) -> None:
        if not self.transport.is_closing():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self.transport.write(head + body)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0, backlog=4096)
    gc.disable()
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    run_loop(_main())
