"""The tests of dicomfs."""
