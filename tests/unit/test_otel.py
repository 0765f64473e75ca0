"""OpenTelemetry: spans and metrics by the conventions for generative AI, and no word of a question or an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from archc.calls import CallError, FailureKind
from archc.cli import main
from archc.exporters.otel import Exporter, replayed
from archc.exporters.recorded import Recording, read_trace
from archc.runtime.trace import Event, JsonlFile
from tests.fakes import Events, Scripted, answer, plan_of

sdk = pytest.importorskip("opentelemetry.sdk", reason="the packages of archc[otel] are not installed")

PLAN = "- generate: {model: m, n: 3}\n- critique: {model: other, by: each}\n- fuse: {model: m}"


class Heard:
    """What an exporter made of events."""

    def __init__(self, events: list[Event]) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        kept, reader = InMemorySpanExporter(), InMemoryMetricReader()
        spans = TracerProvider(shutdown_on_exit=False)
        spans.add_span_processor(SimpleSpanProcessor(kept))
        exporter = Exporter(spans, MeterProvider([reader], shutdown_on_exit=False))
        for event in events:
            exporter(event)
        exporter.cut()
        self.spans = list(kept.get_finished_spans())
        data = reader.get_metrics_data()
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        self.metrics = {metric.name: metric for metric in found}

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Any:
        [span] = self.named(name)
        return span


def heard(plan: str = PLAN, backend: Scripted | None = None) -> Heard:
    events = Events()
    answer(plan_of(plan), backend or Scripted(takes=1.0), listeners=[events])
    return Heard(events.all)


def seconds(span: Any) -> tuple[float, float]:
    return span.start_time / 1e9, span.end_time / 1e9


def test_a_question_is_a_workflow_of_steps_and_calls() -> None:
    told = heard()
    question, generate, critique = told.one("invoke_workflow test"), told.one("generate"), told.one("critique")
    [call] = [s for s in told.named("chat embedded") if s.parent.span_id == generate.context.span_id]

    assert question.parent is None
    assert {generate.parent.span_id, critique.parent.span_id} == {question.context.span_id}
    assert {span.context.trace_id for span in told.spans} == {question.context.trace_id}
    assert [span.kind.name for span in (question, generate, call)] == ["INTERNAL", "INTERNAL", "CLIENT"]
    assert [seconds(span) for span in (question, generate, critique, call)] == [(0, 3), (0, 1), (1, 2), (0, 1)]
    assert question.attributes["gen_ai.operation.name"] == "invoke_workflow"
    assert question.attributes["gen_ai.agent.name"] == "test"
    assert len([s for s in told.named("chat other") if s.parent.span_id == critique.context.span_id]) == 3


def test_a_call_has_the_attributes_of_the_conventions() -> None:
    about = dict(heard().named("chat embedded")[0].attributes)

    assert {key: value for key, value in about.items() if not key.startswith("archc.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "simulated",
        "gen_ai.request.model": "embedded",
        "gen_ai.request.choice.count": 3,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 21,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
    }
    assert about["archc.samples"] == (0, 1, 2)
    assert about["archc.place"].startswith("test.yaml:")


CALL: dict[str, Any] = {
    "event": "call",
    "at": 4.0,
    "query": "q",
    "node": "n",
    "model": "m",
    "samples": [2],
    "seconds": 3.0,
}
CALL |= {
    "outcome": "ok",
    "calls": 1,
    "prompt_tokens": 5,
    "completion_tokens": 40,
    "usd": 0.5,
    "attempt": 1,
    "prompt": "p",
}


@pytest.mark.parametrize(
    ("server", "address", "port"),
    [
        ("https://user:secret@api.example.com/v1?key=secret", "api.example.com", 443),
        ("http://10.1.2.80:8000/v1", "10.1.2.80", 8000),
        ("gpu.example.org:8001", "gpu.example.org", 8001),
        ("gpu.example.org", "gpu.example.org", None),
        ("http://[::1:x", None, None),
        (None, None, None),
    ],
)
def test_where_a_call_went_is_told_by_host_and_port(server: str | None, address: str | None, port: int | None) -> None:
    about = Heard([{**CALL, "server": server}]).one("chat m").attributes

    assert (about.get("server.address"), about.get("server.port")) == (address, port)
    assert "secret" not in str(dict(about))


def test_what_an_event_may_say_beside_is_told() -> None:
    more = {"sent": 2.0, "cached_tokens": 3, "reasoning_tokens": 30, "id": 17, "path": "0.1"}
    span = Heard([{**CALL, **more}]).one("chat m")

    assert seconds(span) == (2, 4)
    assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 3
    assert span.attributes["gen_ai.usage.reasoning.output_tokens"] == 30
    assert span.attributes["archc.attempt.id"] == 17
    assert span.attributes["archc.path"] == "0.1"


def test_tests_of_programs_are_events_of_their_step() -> None:
    plan = "- generate: {model: m}\n- verify: {model: other, by: code}"
    step = heard(plan, Scripted(lambda request, i: "assert answer == 'secret'")).one("verify")
    [event] = [one for one in step.events if one.name == "archc.executed"]

    assert (event.attributes["archc.tests"], "secret" in str(event.attributes)) == (1, False)


def test_attempts_that_failed_are_errors_without_usage() -> None:
    busy = CallError(FailureKind.TIMEOUT, "slow", billed=True)
    backend = Scripted(lambda request, i: busy if len(backend.sent) == 1 else "fine", takes=1.0)
    first, second = heard("- generate: {model: m, n: 1}", backend).named("chat embedded")

    assert (first.attributes["error.type"], first.status.status_code.name) == ("timeout", "ERROR")
    assert "gen_ai.usage.output_tokens" not in first.attributes
    assert (second.status.status_code.name, second.attributes["archc.attempt"]) == ("UNSET", 1)


def test_a_call_that_was_called_off_is_no_error() -> None:
    span = Heard([{**CALL, "outcome": "aborted"}]).one("chat m")

    assert (span.attributes["error.type"], span.status.status_code.name) == ("aborted", "UNSET")


def test_metrics_count_what_was_used() -> None:
    metrics = heard().metrics
    durations = metrics["gen_ai.client.inference.duration"].data.data_points
    tokens = {
        name.removeprefix("gen_ai.client.inference.usage."): sum(p.value for p in metric.data.data_points)
        for name, metric in metrics.items()
        if "usage" in name
    }

    assert [(d.count, d.sum, d.explicit_bounds[0]) for d in durations] == [(2, 2.0, 0.01), (3, 3.0, 0.01)]
    assert set(tokens) == {"input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens"}
    assert tokens["input_tokens"] > 7
    assert {d.attributes["gen_ai.provider.name"] for d in durations} == {"simulated"}


def test_no_word_of_a_question_or_an_answer_is_told() -> None:
    events = Events()
    backend = Scripted(lambda request, i: "canary 42" if i else "canary", takes=1.0)
    answer(
        plan_of("- generate: {model: m, n: 3}\n- extract: {kind: regex, pattern: canary}\n- vote"),
        backend,
        "canary-question",
        listeners=[events],
    )
    told = [span.to_json() for span in Heard(events.all).spans]

    assert "canary" in str(events.all)
    assert told
    assert "canary" not in str(told)


def test_what_has_no_end_is_cut_off_at_the_last_event() -> None:
    events = Events()
    answer(plan_of(PLAN), Scripted(takes=1.0), listeners=[events])
    cut = next(i for i, e in enumerate(events.all) if e.get("node") == "critique" and e["event"] == "call")
    told = Heard(events.all[: cut + 1])

    for name in ("invoke_workflow test", "critique"):
        assert seconds(told.one(name))[1] == 2
        assert told.one(name).attributes["error.type"] == "aborted"


def test_a_recorded_trace_gives_the_same_spans(tmp_path: Path) -> None:
    file, events = JsonlFile(tmp_path / "t"), Events()
    answer(plan_of(PLAN), Scripted(takes=1.0), listeners=[file, events])
    file.close()
    live, later = Heard(events.all), Heard(list(replayed(read_trace(tmp_path / "t").sessions, 100.0)))

    assert [(s.name, s.start_time, s.end_time, dict(s.attributes)) for s in later.spans] == [
        (s.name, s.start_time, s.end_time, dict(s.attributes)) for s in live.spans
    ]


def test_a_trace_that_does_not_say_when_ended_with_its_file() -> None:
    told = Heard(list(replayed([Recording(({**CALL, "at": 4.0},))], 1_000.0)))

    assert seconds(told.one("chat m")) == (997, 1_000)


# ---- over OTLP


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What a collector on this machine gets."""
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield got
    server.shutdown()
    server.server_close()


SPEC = "name: small\nmodels:\n  m: {backend: simulated, latency: 0.0}\npipeline:\n  - generate: {model: m, n: 4}\n"


def archc(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_a_run_and_its_trace_reach_a_collector(
    collector: list[tuple[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=laboratory")
    Path("spec.yaml").write_text(SPEC)
    assert archc("run", "spec.yaml", "What is 2 + 2?", "--no-journal", "--otel", "--trace", "t") == 0
    live = dict(collector)

    assert live.keys() == {"/v1/traces", "/v1/metrics"}
    assert b"invoke_workflow small" in live["/v1/traces"]
    assert b"laboratory" in live["/v1/traces"]
    assert b"gen_ai.client.inference.duration" in live["/v1/metrics"]
    collector.clear()
    assert archc("trace", "t", "--to", "otel") == 0
    assert [path for path, _ in collector] == ["/v1/traces"]


def test_what_nobody_takes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "canary")  # no header, of which the packages complain
    Path("spec.yaml").write_text(SPEC)
    assert archc("run", "spec.yaml", "What is 2 + 2?", "--no-journal", "--otel", "--trace", "t") == 0  # it is answered
    assert "error[not-delivered]: 3 spans or more" in capsys.readouterr().err
    assert archc("trace", "t", "--to", "otel") == 1
    err = capsys.readouterr().err
    assert "error[not-delivered]: 3 spans or more" in err
    assert "canary" not in err
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")
    assert archc("run", "spec.yaml", "What is 2 + 2?", "--no-journal", "--otel") == 2
    assert "error[not-delivered]: spans could not be delivered: max_export_batch_size" in capsys.readouterr().err
