"""Structured reports as pages: HTML for a browser, text for everything else.

All that a report says is text in them. Nothing of it is markup, a link or a script, nor
an order to a terminal; and the page itself forbids a browser to load or run anything.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from dicomfs.documents.report import Entry, Report, read_report
from dicomfs.errors import DocumentError
from dicomfs.printable import printable
from dicomfs.source.source import BytesSource, Source

# A page that is longer is of no use to anybody.
_MOST_BYTES: Final = 4 * 1024 * 1024
_INDENT: Final = "  "

_CUT: Final = "The report is longer than this page. Its DICOM file has all of it."
_FOOT: Final = (
    "Made by dicomfs from the DICOM file of the same name. Not for diagnosis: the DICOM "
    "file counts."
)
_STYLE: Final = (
    "body{font-family:sans-serif;max-width:60em;margin:1em auto;padding:0 1em;"
    "line-height:1.4}"
    "table{border-collapse:collapse}th{text-align:left;vertical-align:top;"
    "padding-right:1em}"
    "ul{list-style:none;padding-left:1.2em}.value{white-space:pre-wrap}"
    ".relation,footer{color:#555}.warning{font-weight:bold}"
)
# Only this style, whose hash is named, and nothing else from anywhere.
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
)


def read(source: Source) -> Mapping[str, Source]:
    """Return the pages of the report in *source*; see ``documents.reading``."""
    report = read_report(source)
    pages = {".html": as_html(report), ".txt": as_text(report)}
    return {
        extension: BytesSource(_bytes(page), source.status.mtime_ns)
        for extension, page in pages.items()
    }


def _bytes(page: Iterator[str]) -> bytes:
    lines, size = [], 0
    for line in page:
        lines.append(line.encode() + b"\n")
        size += len(lines[-1])
        if size > _MOST_BYTES:
            raise DocumentError("it is longer than anybody reads")
    return b"".join(lines)


# -- HTML ------------------------------------------------------------------------------


def as_html(report: Report) -> Iterator[str]:
    """Yield the lines of *report* as an HTML page."""
    title = _escaped(" - ".join(filter(None, (report.title, report.patient))))
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f'<h1 dir="auto">{_escaped(report.title)}</h1>\n<table>'
    for name, value in report.facts:
        yield f'<tr><th>{_escaped(name)}</th><td dir="auto">{_escaped(value)}</td></tr>'
    yield "</table>"
    cut = [f'<p class="warning">{_escaped(_CUT)}</p>'] if report.is_cut else []
    yield from cut
    yield "<ul>"
    for entry in report.content:
        yield from _html_of(entry, report)
    yield "</ul>"
    yield from cut
    yield f"<footer><p>{_escaped(_FOOT)}</p></footer>\n</body>\n</html>"


def _html_of(entry: Entry, report: Report) -> Iterator[str]:
    parts = []
    if entry.number in report.targets:
        parts.append(f"<small>[{entry.number}]</small>")
    if entry.relation:
        parts.append(f'<span class="relation">{_escaped(entry.relation)}:</span>')
    if entry.name:
        mark = ":" if entry.value else ""
        parts.append(f'<b dir="auto">{_escaped(entry.name)}</b>{mark}')
    if entry.value:
        parts.append(f'<span class="value" dir="auto">{_escaped(entry.value)}</span>')
    yield "<li>" + " ".join(parts)
    if entry.below:
        yield "<ul>"
        for each in entry.below:
            yield from _html_of(each, report)
        yield "</ul>"
    yield "</li>"


def _escaped(text: str) -> str:
    return "\n".join(_lines_of(text)).translate(_ESCAPES)


# -- text ------------------------------------------------------------------------------


def as_text(report: Report) -> Iterator[str]:
    """Yield the lines of *report* as plain text."""
    yield from _lines_of(report.title)
    yield ""
    for name, value in report.facts:
        yield from _hanging(f"{name}: {value}", "")
    cut = ["", _CUT] if report.is_cut else []
    yield from cut
    yield ""
    for entry in report.content:
        yield from _text_of(entry, report, "")
    yield from cut
    yield ""
    yield _FOOT


def _text_of(entry: Entry, report: Report, indent: str) -> Iterator[str]:
    parts = [
        f"[{entry.number}]" if entry.number in report.targets else "",
        f"{entry.relation}:" if entry.relation else "",
        f"{entry.name}:" if entry.name and entry.value else entry.name,
        entry.value,
    ]
    yield from _hanging(" ".join(filter(None, parts)) or "-", indent)
    for each in entry.below:
        yield from _text_of(each, report, indent + _INDENT)


def _hanging(text: str, indent: str) -> Iterator[str]:
    """Yield the lines of *text*, those behind the first further in."""
    for number, line in enumerate(_lines_of(text)):
        yield f"{indent}{_INDENT if number else ''}{line}"


def _lines_of(text: str) -> list[str]:
    """Return the lines of *text*, without what a terminal would obey or hide."""
    lines = (
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").split("\n")
    )
    return [printable(line.replace("\t", " ")) for line in lines]
