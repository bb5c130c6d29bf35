"""Tests of ``dicomfs.extras``."""
