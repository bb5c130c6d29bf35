"""File-sets (PS3.10 8): a DICOMDIR together with the files that its records reference.

It stands on ``dicomdir`` for the records and on ``media`` for the files. Others use
``open`` (sources become File-sets), ``listener`` (who hears of it), ``fileset`` (a
File-set, and the parts and items that it is read by) and ``links`` (how far they were
checked).
"""
