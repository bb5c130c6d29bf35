"""Tests of ``dicomfs.remote``."""
