"""Tests of ``dicomfs.dicom``."""
