"""Tests of ``dicomfs.library``."""
