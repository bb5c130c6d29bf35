"""Which documents are taken out of instances, and how many bytes of them."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.documents.encapsulated import read
from dicomfs.errors import DicomfsError, DocumentError
from dicomfs.source.source import BytesSource
from tests.build.medium import (
    Raw,
    Value,
    instance_bytes,
)
from tests.support.mounting import need, run
from tests.support.trees import CountingSource

PDF: Final = b"%PDF-1.7\n1 0 obj\n%%EOF\n"
CDA: Final = b'<?xml version="1.0"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"/>\n'
STL: Final = bytes(80) + struct.pack("<L", 2) + bytes(100)
OBJ: Final = b"# a cube\nv 0 0 0\nv 1 0 0\n"
MTL: Final = b"\nnewmtl bone\nKd 1 1 1\n"
KINDS: Final = {
    "application/pdf": (".pdf", PDF),
    "text/xml": (".xml", CDA),
    "model/stl": (".stl", STL),
    "model/obj": (".obj", OBJ),
    "model/mtl": (".mtl", MTL),
}
DEFLATED: Final = "1.2.840.10008.1.2.1.99"


def holding(
    document: bytes, mime: Value = "application/pdf", **more: Value
) -> dict[str, Value]:
    """Return the elements of an instance that holds *document*, padded."""
    value = Raw("OB", document + b"\0" * (len(document) % 2))
    return {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1",
        "SOPInstanceUID": "1.2.3",
        "EncapsulatedDocument": value,
        "MIMETypeOfEncapsulatedDocument": mime,
        **more,
    }


def found(
    elements: Mapping[str, Value], syntax: str = "1.2.840.10008.1.2.1"
) -> dict[str, bytes]:
    """Return the documents in an instance with these elements, whole."""
    data = instance_bytes(elements, syntax=syntax)
    return {
        extension: document.read_at(0, document.size)
        for extension, document in read(BytesSource(data)).items()
    }


@pytest.mark.parametrize("mime", KINDS)
def test_a_document_is_what_its_kind_says_to_the_byte(mime: str) -> None:
    extension, document = KINDS[mime]
    length = {"EncapsulatedDocumentLength": len(document)}

    assert found(holding(document, mime, **length)) == {extension: document}


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
def test_it_is_found_in_other_encodings(syntax: str) -> None:
    length = {"EncapsulatedDocumentLength": len(PDF)}

    assert found(holding(PDF, **length), syntax=syntax) == {".pdf": PDF}


def test_without_a_length_the_padding_stays() -> None:
    assert len(PDF) % 2 == 1
    assert found(holding(PDF)) == {".pdf": PDF + b"\0"}


@pytest.mark.parametrize("length", [0, 4, len(PDF) - 1, len(PDF) + 2, 0xFFFFFFFF])
def test_a_length_that_does_not_fit_cuts_nothing(length: int) -> None:
    lying = {"EncapsulatedDocumentLength": length}

    assert found(holding(PDF, **lying)) == {".pdf": PDF + b"\0"}


@pytest.mark.parametrize(
    ("mime", "document"),
    [
        ("application/pdf", b"MZ\x90 a program"),
        ("application/pdf", b"<html><script>"),
        ("text/xml", b"<html xmlns='http://www.w3.org/1999/xhtml'/>"),
        ("model/stl", STL + b"more"),
        ("model/stl", b"solid but text"),
        ("model/obj", b"#!/bin/sh\nrm -r ~\n"),
        ("text/html", b"<html>"),
        ("application/x-msdownload", b"MZ\x90"),
        ("application/pdf\\text/xml", PDF),
        (None, PDF),
    ],
)
def test_nothing_else_is_a_document(mime: Value, document: bytes) -> None:
    with pytest.raises(DocumentError):
        found(holding(document, mime))


@pytest.mark.parametrize(
    "value",
    [
        Raw("OB"),
        Raw("OB", PDF, 0xFFFFFFFF),
        Raw("OB", PDF, 0xFFFFFFFE),
        Raw("OB", PDF, len(PDF) + 1000),
    ],
)
def test_a_value_whose_length_lies_is_no_document(value: Raw) -> None:
    with pytest.raises(DicomfsError):
        found({**holding(PDF), "EncapsulatedDocument": value})


def test_what_is_deflated_is_not_in_the_file_as_it_is() -> None:
    with pytest.raises(DocumentError, match="deflated"):
        found(holding(PDF), syntax=DEFLATED)


def test_a_document_of_any_size_costs_the_header_only() -> None:
    document = b"%PDF-" + bytes(2_000_000)
    source = CountingSource(instance_bytes(holding(document)))

    assert read(source)[".pdf"].size == len(document) + 1
    assert source.bytes_read < 100_000


def test_sequences_as_deep_as_hell_cost_themselves() -> None:
    begin = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    source = CountingSource(
        instance_bytes({"SOPInstanceUID": "1"}) + (begin + item) * 500_000
    )

    with pytest.raises(DicomfsError):
        read(source)
    assert source.bytes_read < 100_000


@pytest.mark.slow
@given(st.data())
def test_whatever_is_damaged_nothing_else_is_raised(data: st.DataObject) -> None:
    sound = bytearray(instance_bytes(holding(PDF, EncapsulatedDocumentLength=23)))
    for _ in range(data.draw(st.integers(1, 5))):
        sound[data.draw(st.integers(128, len(sound) - 1))] = data.draw(
            st.integers(0, 255)
        )
    cut = data.draw(st.integers(0, len(sound)))

    try:
        documents = read(BytesSource(bytes(sound[:cut])))
    except DicomfsError:
        return
    for extension, document in documents.items():
        assert extension in {".pdf", ".xml", ".stl", ".obj", ".mtl"}
        assert len(document.read_at(0, document.size)) == document.size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "mime"),
    [
        ("pdf2dcm", "application/pdf"),
        ("cda2dcm", "text/xml"),
        ("stl2dcm", "model/stl"),
    ],
)
def test_what_dcmtk_encapsulates_comes_out_as_it_went_in(
    tool: str, mime: str, tmp_path: Path
) -> None:
    need(tool)
    _, document = KINDS[mime]
    given_, made = tmp_path / "given", tmp_path / "made.dcm"
    given_.write_bytes(document)
    # CDA of no patient is refused by it otherwise.
    more = ["+ov"] if tool == "cda2dcm" else []
    done = run([tool, *more, str(given_), str(made)])
    assert done.returncode == 0, done.stderr

    [whole] = read(BytesSource(made.read_bytes())).values()
    assert whole.read_at(0, whole.size).rstrip(b"\0") == document.rstrip(b"\0")
