"""Tests of ``dicomfs.discs``."""
