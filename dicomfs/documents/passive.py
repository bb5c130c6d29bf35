"""Whether an XML document is a CDA that a browser only shows.

A browser that opens an XML file runs the scripts in it, if they are in the name space of
XHTML or SVG, and the style sheets that it names. A clinical document has no use for the
former, nor for entities that could hide them. What is in doubt counts as active.
"""

import codecs
import re
from typing import Final

# In others than these, and UTF-16, markup may be hidden.
_ENCODINGS: Final = re.compile(
    r"utf-?8|us-ascii|ascii|iso-?8859-?\d{1,2}|windows-125\d|utf-?16", re.IGNORECASE
)
_DECLARED: Final = re.compile(r"<\?xml[^>]*?\bencoding\s*=\s*[\"']([^\"'>]*)[\"']")
_PROLOG: Final = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->)", re.DOTALL)
_ROOT: Final = re.compile(r"\s*<(?:[\w.-]+:)?ClinicalDocument[\s/>]")
# What is active is so by its name space. Without entities a name space is written as it is,
# unless letters of it are written as numbers.
_ACTIVE: Final = re.compile(
    r"<!DOCTYPE|<!ENTITY|w3\.org/(?:1998/Math|1999/xhtml|1999/XSL|2000/svg|2002/06/xhtml)"
    r"|\bxmlns(?::[^\s=]*)?\s*=\s*(?=[\"'][^\"'<]*&)",
    re.IGNORECASE,
)
_STYLE: Final = re.compile(r"<\?xml-stylesheet(.*?)\?>", re.DOTALL)
# A style sheet in the same folder, in which dicomfs never shows one.
_BESIDE: Final = re.compile(
    r"(?:\s+(?:type|title|media|charset|alternate)\s*=\s*(?:\"[^\"<]*\"|'[^'<]*')"
    r"|\s+href\s*=\s*(?:\"\w[\w. -]*\"|'\w[\w. -]*'))*\s*"
)


def is_passive(data: bytes) -> bool:
    """Whether *data* is a CDA, and nothing in it acts when a browser opens it."""
    text = _text(data)
    at = 0
    while prolog := _PROLOG.match(text, at):
        at = prolog.end()
    return (
        _ROOT.match(text, at) is not None
        and _ACTIVE.search(text) is None
        and all(_BESIDE.fullmatch(each) for each in _STYLE.findall(text))
    )


def _text(data: bytes) -> str:
    """Return *data* with its markup as text, empty if that may be hidden."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        # By name, it would be looked for in a file.
        return codecs.utf_16_decode(data, "replace", True)[0].lstrip("\ufeff")
    # Whatever the letters are, all markup is in ASCII.
    text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    declared = _DECLARED.match(text)
    is_known = declared is None or _ENCODINGS.fullmatch(declared[1])
    return text if is_known and "\0" not in text else ""
