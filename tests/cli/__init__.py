"""Tests of ``dicomfs.cli``."""
