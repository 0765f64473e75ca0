"""Help editors over the language server protocol: diagnostics, hover and completion, on stdin and stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

import archc
from archc.diagnostics import Diagnostic
from archc.editor.help import completions_at, hover_at
from archc.editor.look import diagnostics_of, look, severity_of
from archc.editor.places import Places
from archc.source import Source, Span

app = typer.Typer()


@app.command()
def lsp() -> None:
    """Help editors over the language server protocol: diagnostics, hover and completion, on stdin and stdout."""
    try:
        import pygls.lsp.server  # noqa: F401
    except ImportError:
        print("the language server needs pygls: pip install 'archc[editor]', or pip install pygls", file=sys.stderr)
        raise typer.Exit(2) from None
    _server().start_io()


_TRIGGERS = ["(", "$", "=", ",", " "]


def _server() -> Any:
    """A server that knows the open documents; each answer is made of one document's text alone."""
    from lsprotocol import types
    from pygls.lsp.server import LanguageServer

    server = LanguageServer("archc", archc.__version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)

    def at(params: Any) -> tuple[Source, Places, int]:
        source = _source(server.workspace.get_text_document(params.text_document.uri))
        places = _places(server, source)
        return source, places, places.offset(params.position.line, params.position.character)

    def show(params: Any) -> None:
        document = server.workspace.get_text_document(params.text_document.uri)
        source = _source(document)
        found = [_diagnostic(server, source, document.uri, d) for d in diagnostics_of(source)]
        server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(document.uri, found, document.version))

    def saved(params: Any) -> None:
        look.cache_clear()  # other open specs may use this one
        show(params)

    def closed(params: Any) -> None:
        server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(params.text_document.uri, []))

    def hover(params: Any) -> Any:
        source, places, offset = at(params)
        if (found := hover_at(source, offset)) is None:
            return None
        content = types.MarkupContent(types.MarkupKind.Markdown, found.text)
        return types.Hover(content, _range(places, found.start, found.end))

    def complete(params: Any) -> Any:
        source, places, offset = at(params)
        return [
            types.CompletionItem(
                one.word,
                kind=types.CompletionItemKind[one.kind.capitalize()],
                documentation=one.about,
                filter_text=one.word,
                text_edit=types.TextEdit(_range(places, one.start, one.end), one.word),
            )
            for one in completions_at(source, offset)
        ]

    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(show)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(show)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(saved)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(closed)
    server.feature(types.TEXT_DOCUMENT_HOVER)(hover)
    server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=_TRIGGERS))(complete)
    return server


def _source(document: Any) -> Source:
    """The text of a document; its form is that of its file, or that which the editor takes it for."""
    return Source(document.path, document.source, "arch" if document.language_id == "archc" else "")


def _places(server: Any, source: Source) -> Places:
    return Places(source.text, str(getattr(server.workspace.position_encoding, "value", "utf-16")))


def _range(places: Places, start: int, end: int) -> Any:
    from lsprotocol import types

    return types.Range(types.Position(*places.position(start)), types.Position(*places.position(end)))


def _diagnostic(server: Any, source: Source, uri: str, found: Diagnostic) -> Any:
    """What is wrong in another file is shown where this one names it, with its place beside."""
    from lsprotocol import types
    from pygls.uris import from_fs_path

    def location(span: Span) -> Any:
        own = span.source == source
        place = _range(_places(server, span.source), span.start, span.end)
        return types.Location(uri if own else from_fs_path(str(Path(span.source.name).absolute())) or uri, place)

    also = [(label.span, label.text) for label in found.also]
    here = next((span for span in (found.span, *(span for span, _ in also)) if span and span.source == source), None)
    if found.span and here is not found.span:
        also.insert(0, (found.span, found.headline))
    place = here or source.span(0, 0)
    severities = {"error": 1, "warning": 2, "information": 3}
    return types.Diagnostic(
        range=_range(_places(server, source), place.start, place.end),
        message="\n".join(filter(None, (found.headline, found.advice))),
        severity=types.DiagnosticSeverity(severities[severity_of(found)]),
        code=found.name,
        source="archc",
        related_information=[types.DiagnosticRelatedInformation(location(span), text) for span, text in also],
    )
