"""Secure DICOM files (PS3.10 7.4): a cryptographic envelope with a DICOM file in it.

What lies on the medium then is no DICOM file, but a CMS object (RFC 5652).
"""

from typing import Final

ENCRYPTED: Final = "encrypted"
SIGNED: Final = "signed"

# So many bytes tell: the object identifier of the content type comes first of all.
HEAD: Final = 64
_ASN1_SEQUENCE: Final = b"\x30"
# Of its tag and length, up to eight bytes of which follow a first one (X.690 8.1.3).
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


def how_secured(head: bytes) -> str:
    """Return what the file was made that begins with *head*: ENCRYPTED or SIGNED.

    Empty if it is no CMS object.
    """
    if head.startswith(_ASN1_SEQUENCE):
        for content_type, how in _TYPES:
            if 0 < head.find(content_type) <= _LONGEST_HEADER:
                return how
    return ""
