"""Tests of ``dicomfs.check``."""
