"""Programs in the preamble of a DICOM file (CVE-2019-11687, PS3.10 section 7.5).

The first 128 bytes belong to nobody: with a program's header in them, one file is an
image to a viewer and a program to the system. Files are served as they are; this only
says what is in them.
"""

import re
from typing import Final

SIZE: Final = 128

# What a file is to a system that goes by how it begins.
_SIGNATURES: Final = (
    (b"MZ", "a Windows program"),
    (b"ZM", "a DOS program"),
    (b"\x7fELF", "an ELF program"),
    (b"\xfe\xed\xfa\xce", "a Mach-O program"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", "a Mach-O or Java program"),
    (b"\xca\xfe\xba\xbf", "a Mach-O program"),
    (b"\xbe\xba\xfe\xca", "a Mach-O program"),
    (b"\xbf\xba\xfe\xca", "a Mach-O program"),
    (b"\0asm", "a WebAssembly program"),
    (b"#!", "a script"),
    (b"PK", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"MSCF", "a Windows cabinet"),
    (b"\xd0\xcf\x11\xe0", "an Office document or Windows installer"),
    (b"L\0\0\0\x01\x14\x02\0", "a Windows shortcut"),
    (b"{\\rtf", "an RTF document"),
)
# Readers of these look further than at the first byte.
_ANYWHERE: Final = re.compile(
    rb"%PDF-|@echo|<!doctype|<html|<script|<\?(?:php|xml)", re.IGNORECASE
)
_KINDS: Final = {
    b"%pdf-": "a PDF document",
    b"@echo": "a script",
    b"<?php": "a PHP program",
}


def program(preamble: bytes) -> str:
    """Return what program or active document begins in *preamble*, empty if none does.

    Zeros, TIFF (which whole-slide images are at the same time) and anything else that
    nobody executes is none.
    """
    preamble = preamble[:SIZE]
    for signature, kind in _SIGNATURES:
        if preamble.startswith(signature):
            return kind
    if found := _ANYWHERE.search(preamble):
        return _KINDS.get(found[0].lower(), "a web page")
    return ""
