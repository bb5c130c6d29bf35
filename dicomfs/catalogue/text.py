"""Rows as text: CSV (RFC 4180, and UTF-8), or a JSON object a row."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from dicomfs.catalogue.totals import Row
from dicomfs.dicom.keywords import Value

# What a spreadsheet takes for the beginning of a formula, and what makes it text.
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_GUARD: Final = "'"
_CRLF: Final = "\r\n"
# By it a spreadsheet knows UTF-8.
_MARK: Final = "\ufeff"


class Form(Protocol):
    """How rows are written."""

    def head(self) -> str:
        """Return what comes before all rows."""
        ...

    def text(self, rows: Iterable[Row]) -> str:
        """Return *rows* as whole lines."""
        ...


class Csv:
    """Rows below a line with the *names* of their columns.

    For Excel (*is_guarded*) no text is a formula, and the text says that it is UTF-8.
    """

    def __init__(self, names: Sequence[str], *, is_guarded: bool = False) -> None:
        self._names = names
        self._is_guarded = is_guarded

    def head(self) -> str:
        """Return the line with the names."""
        return (_MARK if self._is_guarded else "") + _written([self._names])

    def text(self, rows: Iterable[Row]) -> str:
        """Return *rows* as lines; a value that is not there is empty."""
        if self._is_guarded:
            rows = ([*map(_guarded, row)] for row in rows)
        return _written(rows)


class JsonLines:
    """Rows as JSON objects, by the *names* of their columns."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def head(self) -> str:
        """Return nothing."""
        return ""

    def text(self, rows: Iterable[Row]) -> str:
        """Return *rows* as lines; a value that is not there is null."""
        return "".join(
            json.dumps(dict(zip(self._names, row, strict=True)), ensure_ascii=False)
            + "\n"
            for row in rows
        )


def _written(rows: Iterable[Row]) -> str:
    return "".join(map(_line, rows))


def _line(row: Iterable[Value | None]) -> str:
    text = io.StringIO()
    # What is in it is put into quotation marks: also a carriage return alone.
    csv.writer(text, lineterminator=_CRLF).writerow(row)
    return text.getvalue().removesuffix(_CRLF) + "\n"


def _guarded(value: Value | None) -> Value | None:
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return _GUARD + value
    return value
