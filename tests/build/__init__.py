"""Builders: media, images, archives and faults made for the tests."""
