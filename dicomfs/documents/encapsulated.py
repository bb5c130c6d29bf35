"""Encapsulated documents (PS3.3 C.24): a PDF, CDA or model that is one value of an instance.

What a document is called is not for its header to say: it is one of a few kinds, and
begins as that kind does. None of them is a program or a page with scripts.
"""

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.element import UNDEFINED_LENGTH, Element, elements
from dicomfs.dicom.header import MAX_READ, read_meta
from dicomfs.dicom.uids import DEFLATED
from dicomfs.documents.passive import is_passive
from dicomfs.errors import DocumentError
from dicomfs.source.limited import Limited
from dicomfs.source.source import Extent, ExtentSource, Source
from dicomfs.source.window import Window

_BLOCK: Final = 16 * 1024
_MOST_ELEMENTS: Final = 10_000
_LONGEST_TYPE: Final = 64
_LENGTH: Final = 4
# PDF may have something in front; readers look for its sign that far.
_HEAD: Final = 1024
# CDA is read whole to see that it is harmless.
_MOST_XML: Final = 4 * 1024 * 1024

_STL_HEADER, _STL_FACET = 84, 50
_OBJ: Final = re.compile(rb"(?:v|vn|vt|vp|f|l|p|o|g|s|mtllib|usemtl)[ \t]")
_MTL: Final = re.compile(rb"newmtl[ \t]")


class _Kind(NamedTuple):
    """A kind of document: its extension, and whether a source is of it."""

    extension: str
    is_one: Callable[[Source], bool]


def read(source: Source) -> Mapping[str, Source]:
    """Return the document in *source*; see ``documents.reading``."""
    window = Window(Limited(source, MAX_READ), _BLOCK)
    meta = read_meta(window)
    if meta.transfer_syntax == DEFLATED:
        raise DocumentError("the instance is deflated")
    syntax = meta.syntax(window)
    run = elements(window, meta.start, source.size, syntax)
    found: dict[int, Element] = {}
    for element in islice(run, _MOST_ELEMENTS):
        if element.tag > tags.ENCAPSULATED_DOCUMENT_LENGTH:
            break
        found[element.tag] = element
    value = found.get(tags.ENCAPSULATED_DOCUMENT)
    if value is None or value.length in {0, UNDEFINED_LENGTH}:
        raise DocumentError("there is no document in it")
    length = found.get(tags.ENCAPSULATED_DOCUMENT_LENGTH)
    told = 0
    if length is not None and length.length == _LENGTH:
        told = syntax.integer(window.read(length.start, _LENGTH))
    document = ExtentSource(
        source, [Extent(value.start, _size(value, told))], source.status.mtime_ns
    )
    kind = _KINDS.get(_mime_type(window, found))
    if kind is None:
        raise DocumentError("it is of a kind that is not known")
    if not kind.is_one(document):
        raise DocumentError("it is not what its MIME type says, or not harmless")
    return {kind.extension: document}


def _size(value: Element, told: int) -> int:
    """Return how long the document is: a value is padded to an even length.

    Where what is *told* does not fit, the padding is left: nothing is cut by a guess.
    """
    return told if told in {value.length, value.length - 1} else value.length


def _mime_type(window: Window, found: Mapping[int, Element]) -> bytes:
    element = found.get(tags.MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)
    if element is None or element.length > _LONGEST_TYPE:
        return b""
    return window.read(element.start, element.length).strip(b" \0").lower()


def _is_pdf(document: Source) -> bool:
    return b"%PDF-" in document.read_at(0, _HEAD)


def _is_cda(document: Source) -> bool:
    return document.size <= _MOST_XML and is_passive(
        document.read_at(0, document.size).rstrip(b"\0")
    )


def _is_stl(document: Source) -> bool:
    """Whether it is binary STL, whose header says how many facets there are."""
    count = int.from_bytes(document.read_at(_STL_HEADER - 4, 4), "little")
    size = _STL_HEADER + count * _STL_FACET
    return document.size >= _STL_HEADER and document.size in {size, size + 1}


def _lines_begin(pattern: re.Pattern[bytes]) -> Callable[[Source], bool]:
    """Return what tells text whose first line, but for comments, begins so."""

    def is_one(document: Source) -> bool:
        head = document.read_at(0, _HEAD)
        lines = (line.strip() for line in head.splitlines())
        first = next((line for line in lines if line and line[:1] != b"#"), b"")
        return b"\0" not in head.rstrip(b"\0") and pattern.match(first) is not None

    return is_one


_KINDS: Final[Mapping[bytes, _Kind]] = {
    b"application/pdf": _Kind(".pdf", _is_pdf),
    b"text/xml": _Kind(".xml", _is_cda),
    b"model/stl": _Kind(".stl", _is_stl),
    b"model/obj": _Kind(".obj", _lines_begin(_OBJ)),
    b"model/mtl": _Kind(".mtl", _lines_begin(_MTL)),
}
