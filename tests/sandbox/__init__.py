"""Tests of ``dicomfs.sandbox``."""
