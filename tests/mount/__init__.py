"""Tests of ``dicomfs.mount``."""
