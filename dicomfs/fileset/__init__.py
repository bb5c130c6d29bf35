"""File-sets (PS3.10 8): a DICOMDIR together with the files that its records reference.

It stands on ``dicomdir`` for the records and on ``media`` for the files.
"""
