"""UIDs that mean something to a reader of files, whoever wrote them (PS3.6 Annex A)."""

from typing import Final

DIRECTORY: Final = b"1.2.840.10008.1.3.10"
"""The SOP class of a DICOMDIR."""
EXPLICIT_VR_LITTLE_ENDIAN: Final = b"1.2.840.10008.1.2.1"
DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
COMPRESSED_ROOT: Final = b"1.2.840.10008.1.2.4."
"""The beginning of the UIDs of transfer syntaxes with compressed pixels."""

DICOM_ROOT: Final = b"1.2.840.10008."
"""The beginning of all UIDs of the standard; other SOP classes are private."""
STORAGE_ROOT: Final = b"1.2.840.10008.5.1."
"""The beginning of the UIDs of all SOP classes of instances."""
