"""One DICOMDIR (PS3.3 Annex F): its records, the links between them, and their repair.

It stands on ``dicom``. It knows offsets in one file, and neither a medium nor another file.
"""
