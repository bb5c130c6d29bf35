"""Files that are not, or not only, the DICOM file that they seem to be.

A secure DICOM file (PS3.10 7.4) is a cryptographic envelope with a DICOM file in it. On
the medium lies a CMS object (RFC 5652).

The first 128 bytes of a DICOM file belong to nobody (CVE-2019-11687, PS3.10 7.5): with
the header of a program in them, one file is an image to a viewer and a program to the
system. Files are served as they are; this only says what is in them.
"""

import re
from typing import Final

ENCRYPTED: Final = "encrypted"
SIGNED: Final = "signed"

# So many bytes tell: the object identifier of the content type comes first of all.
ENVELOPE_HEAD: Final = 64
PREAMBLE: Final = 128

_ASN1_SEQUENCE: Final = b"\x30"
# Its tag and length: up to eight bytes of the length follow a first one (X.690 8.1.3).
_LONGEST_HEADER: Final = 10
_PKCS7: Final = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
_SMIME: Final = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01"
_TYPES: Final = (
    (_PKCS7 + b"\x03", ENCRYPTED),  # enveloped-data
    (_SMIME + b"\x17", ENCRYPTED),  # authenticated-enveloped-data
    (_PKCS7 + b"\x02", SIGNED),  # signed-data
    (_PKCS7 + b"\x05", SIGNED),  # digested-data
    (_SMIME + b"\x02", SIGNED),  # authenticated-data
)

# Systems take a file that begins in one of these ways for a program.
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


def how_secured(head: bytes) -> str:
    """Return how the file that begins with *head* is secured: ENCRYPTED or SIGNED.

    Empty if it is not a CMS object.
    """
    if head.startswith(_ASN1_SEQUENCE):
        for content_type, how in _TYPES:
            if 0 < head.find(content_type) <= _LONGEST_HEADER:
                return how
    return ""


def program(preamble: bytes) -> str:
    """Return what program or active document begins in *preamble*, empty if none does.

    Zeros, TIFF (which whole-slide images are at the same time) and anything else that
    nobody executes are not programs.
    """
    preamble = preamble[:PREAMBLE]
    for signature, kind in _SIGNATURES:
        if preamble.startswith(signature):
            return kind
    if found := _ANYWHERE.search(preamble):
        return _KINDS.get(found[0].lower(), "a web page")
    return ""
