"""Tests of ``dicomfs.fileset``."""
