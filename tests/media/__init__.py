"""Tests of ``dicomfs.media``."""
