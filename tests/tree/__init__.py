"""Tests of ``dicomfs.tree``."""
