"""Tests of ``dicomfs.source``."""
