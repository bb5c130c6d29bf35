"""The encoding of DICOM (PS3.5, PS3.6, PS3.10): elements, text, headers. No files, no media.

It stands on ``source``. Bytes go in, values come out.
"""
