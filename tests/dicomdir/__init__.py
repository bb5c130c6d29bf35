"""Tests of ``dicomfs.dicomdir``."""
