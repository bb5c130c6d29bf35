"""Tests of ``dicomfs.copying``."""
