"""OpenTelemetry: a trace as spans and metrics, by the semantic conventions for generative AI.

A question is a span `invoke_workflow SPEC`; in it is one for each step, in that one `chat MODEL` for each attempt of a
call. Prompts and answers stay here: the conventions leave them out unless they are asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.exporters.recorded import Recording, sent_at
from archc.runtime.trace import Event

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The buckets that the conventions give for durations."""

_USAGE: Final = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cache_read.input_tokens",
    "reasoning_tokens": "reasoning.output_tokens",
}
"""What the conventions call the tokens of a call."""

_AT_ONCE: Final = 500
"""Events of a recorded trace after which its spans are sent, so that none is dropped for lack of room."""


class Exporter:
    """A listener that makes spans of events, and metrics of calls."""

    def __init__(self, spans: TracerProvider, metrics: MeterProvider | None = None) -> None:
        """They are the caller's to shut down, after `cut`."""
        from opentelemetry import trace

        self._api = trace
        self._tracer = spans.get_tracer("archc")
        self._meters = _Meters(metrics) if metrics is not None else None
        self._open: dict[tuple[str, ...], Span] = {}
        self._models: dict[str, dict[str, str]] = {}
        self._began = self._last = 0.0

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        match event["event"]:
            case "session":
                self.cut()
                self._began, self._models = event["time"], event.get("models", {})
            case "question":
                about = {"gen_ai.agent.name": event.get("spec"), "archc.seed": event.get("seed")}
                self._start(event, f"invoke_workflow {event.get('spec', '')}".strip(), "invoke_workflow", about)
            case "answer":
                self._end(event, {"archc.status": event["status"]}, event["status"] == "failed")
            case "node" if event["state"] == "started":
                self._start(event, event["node"], "", {"archc.node": event["node"], "archc.path": event.get("path")})
            case "node":
                counts = {f"archc.{key}": event.get(key) for key in ("candidates", "failed")}
                self._end(event, counts, event.get("candidates") == 0)
            case "call":
                self._call(event)
            case "note" | "refused" | "executed" as kind if span := self._around(event):
                about = {f"archc.{key}": event.get(key) for key in ("fallback", "calls", "tests", "passed")}
                span.add_event(f"archc.{event.get('note', kind)}", _there(about), self._ns(event["at"]))
        self._last = event["at"]

    def _start(self, event: Event, name: str, operation: str, about: dict[str, Any]) -> None:
        about |= {"archc.question": event["query"], **({"gen_ai.operation.name": operation} if operation else {})}
        parent = None if operation else self._open.get((event["query"],))
        context = self._api.set_span_in_context(parent) if parent else None
        started = self._tracer.start_span(name, context, attributes=_there(about), start_time=self._ns(event["at"]))
        self._open[_key(event)] = started

    def _end(self, event: Event, about: dict[str, Any], failed: bool) -> None:
        if span := self._open.pop(_key(event), None):
            span.set_attributes(_there(about))
            if failed:
                self._fail(span, "failed")
            span.end(self._ns(event["at"]))

    def _around(self, event: Event) -> Span | None:
        """The step to which an event belongs; without a path the last that began, and else its question."""
        own = _key(event)
        if span := self._open.get(own):
            return span
        several = [key for key in self._open if key[:2] == own[:2]]
        return self._open.get(several[-1] if several else own[:1])

    def _call(self, event: Event) -> None:
        model = self._models.get(event["model"], {})
        asked = model.get("model", event["model"])
        shared = _there(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": model.get("backend", "_OTHER"),
                "gen_ai.request.model": asked,
                "error.type": None if event["outcome"] == "ok" else event["outcome"],
                **_server(event.get("server")),
            }
        )
        used = {name: event.get(key) for key, name in _USAGE.items()} if event["outcome"] == "ok" else {}
        samples = event["samples"]
        about = {
            **{f"gen_ai.usage.{name}": tokens for name, tokens in used.items()},
            "gen_ai.request.choice.count": len(samples) if len(samples) != 1 else None,
            "archc.samples": samples,
            **{f"archc.{key}": event.get(key) for key in ("node", "path", "prompt", "attempt", "usd")},
            "archc.question": event["query"],
            "archc.place": event.get("span"),
            "archc.attempt.id": event.get("id"),
        }
        parent = self._around(event)
        span = self._tracer.start_span(
            f"chat {asked}",
            self._api.set_span_in_context(parent) if parent else None,
            self._api.SpanKind.CLIENT,
            attributes={**shared, **_there(about)},
            start_time=self._ns(sent_at(event)),
        )
        if event["outcome"] not in ("ok", "aborted"):  # to be called off is no error
            self._fail(span, event["outcome"])
        span.end(self._ns(event["at"]))
        if self._meters:
            self._meters.call(event["at"] - sent_at(event), used, shared)

    def _fail(self, span: Span, kind: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(self._api.StatusCode.ERROR)

    def cut(self) -> None:
        """Ends what the trace has no end of, as aborted: inner spans first."""
        for span in reversed(self._open.values()):
            self._fail(span, "aborted")
            span.end(self._ns(self._last))
        self._open.clear()

    def _ns(self, at: float) -> int:
        return (round(self._began * 1e6) + round(at * 1e6)) * 1000


class _Meters:
    """The metrics of the conventions."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("archc")
        self._duration = meter.create_histogram(
            "gen_ai.client.inference.duration", "s", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._tokens = {
            name: meter.create_counter(f"gen_ai.client.inference.usage.{name}", "{token}") for name in _USAGE.values()
        }

    def call(self, seconds: float, used: dict[str, Any], about: dict[str, Any]) -> None:
        """Counts one attempt."""
        self._duration.record(seconds, about)
        for name, tokens in used.items():
            if tokens is not None:
                self._tokens[name].add(tokens, about)


def _key(event: Event) -> tuple[str, ...]:
    return (event["query"], event["node"], event.get("path", "")) if "node" in event else (event["query"],)


def _there(about: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in about.items() if value is not None}


def _server(url: str | None) -> dict[str, Any]:
    """Host and port of an endpoint, and nothing else that its address may hold."""
    try:
        whole = url or ""
        parts = urlsplit(whole if "://" in whole else f"//{whole}")
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return {}
    return {"server.address": parts.hostname, "server.port": port} if parts.hostname else {}


# ---- over OTLP


class Delivery:
    """Spans and metrics on their way over OTLP, as the OTEL_* variables say; what does not arrive is counted."""

    def __init__(self, metrics: bool = True) -> None:
        """Raises SpecError if the packages are not installed, or cannot make sense of a variable."""
        self._said = _Said()
        try:
            self._set_up(metrics)
        except ImportError as error:
            missing = errors.MissingExtra(feature="OpenTelemetry", module=error.name or "", extra="otel")
            raise SpecError(missing) from None
        except ValueError as error:
            raise SpecError(errors.NotDelivered(what="spans", reason=str(error))) from None

    def _set_up(self, metrics: bool) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        logging.getLogger("opentelemetry").addHandler(self._said)
        resource = Resource({"service.name": "archc"}).merge(OTELResourceDetector().detect())
        self._counted = _Counted(OTLPSpanExporter())
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._spans.add_span_processor(BatchSpanProcessor(self._counted))
        self._metrics = None
        if metrics:
            reader = PeriodicExportingMetricReader(OTLPMetricExporter())
            self._metrics = MeterProvider([reader], resource, shutdown_on_exit=False)
        self.listener = Exporter(self._spans, self._metrics)

    def flush(self) -> None:
        """Sends the spans that are there, and waits for it."""
        self._spans.force_flush()

    def close(self) -> Diagnostic | None:
        """Sends what is left; says what did not arrive."""
        self.listener.cut()
        self._spans.shutdown()
        if self._metrics:  # if nobody took the spans, there is little to wait for
            self._metrics.shutdown(timeout_millis=1_000 if self._counted.lost else 30_000)
        if not self._counted.lost:
            return None
        return errors.NotDelivered(what=f"{self._counted.lost} spans or more", reason=self._said.first)


class _Counted:
    """Counts the spans that an exporter could not deliver."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.lost = 0
        self.shutdown, self.force_flush = exporter.shutdown, exporter.force_flush

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See opentelemetry.sdk.trace.export.SpanExporter."""
        result = self._exporter.export(spans)
        self.lost += len(spans) if result.name != "SUCCESS" else 0
        return result


class _Said(logging.Handler):
    """Keeps the first complaint of an exporter, and all others from the terminal: they may quote a key."""

    first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one."""
        if record.name.startswith("opentelemetry.exporter."):
            self.first = self.first or record.getMessage()


def deliver(sessions: Sequence[Recording], ended: float) -> Diagnostic | None:
    """Sends recorded sessions as spans; says what did not arrive. `ended`: when, at the latest, in seconds since 1970.

    Raises SpecError if the packages are not installed.
    """
    delivery = Delivery(metrics=False)  # which would count for today what was used some day
    for number, event in enumerate(replayed(sessions, ended), 1):
        delivery.listener(event)
        if number % _AT_ONCE == 0:
            delivery.flush()
    return delivery.close()


def replayed(sessions: Sequence[Recording], ended: float) -> Iterator[Event]:
    """The events of recorded sessions, each begun by one that says when: at the latest so that all had `ended`."""
    for session in sessions:
        if session.began is None:
            yield {"event": "session", "at": 0.0, "time": max(0.0, ended - session.seconds)}
        yield from session.events
