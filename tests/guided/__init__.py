"""Fuzzing that learns which bytes lead somewhere new (``scripts/fuzz --guided``).

Each part of dicomfs that reads hostile bytes has a harness here, which says what must
hold for any bytes at all. Atheris finds the bytes. Those that it learned most from are
committed, and every run of the tests reads them again, without Atheris.
"""
