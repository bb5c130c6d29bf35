"""Tests of ``dicomfs.catalogue``."""
