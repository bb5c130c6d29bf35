"""Programs in preambles: what is one, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomfs.dicom.disguise import PREAMBLE, program


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"MZ\x90\0", "a Windows program"),
        (b"\x7fELF\x02\x01", "an ELF program"),
        (b"\xfe\xed\xfa\xce", "a Mach-O program"),
        (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
        (b"\xca\xfe\xba\xbe", "a Mach-O or Java program"),
        (b"#!/bin/sh\n", "a script"),
        (b"\r\n@ECHO off\r\n", "a script"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"%PDF-1.7", "a PDF document"),
        (bytes(100) + b"%PDF-1.7", "a PDF document"),
        (b" <HTML><body>", "a web page"),
        (b"<?php system", "a PHP program"),
    ],
)
def test_a_program_is_known_by_how_it_begins(head: bytes, kind: str) -> None:
    assert program(head.ljust(PREAMBLE, b"\0")) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0",
        b"II*\0\x08\0\0\0",  # TIFF, which whole-slide images are, too
        b"MM\0*\0\0\0\x08",
        b"II+\0\x08\0\0\0",
        b"not a program MZ PK #!",
    ],
)
def test_what_nobody_executes_is_none(head: bytes) -> None:
    assert program(head.ljust(PREAMBLE, b"\0")) == ""


def test_what_comes_behind_the_preamble_does_not_count() -> None:
    assert program(bytes(PREAMBLE) + b"DICM%PDF-1.7") == ""


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(head: bytes) -> None:
    assert isinstance(program(head), str)
