"""Tests of ``dicomfs.documents``."""
