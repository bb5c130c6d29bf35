"""Tests of the disc in good order."""
