"""Media: what a patient CD is to the rest of dicomfs, wherever its bytes lie.

It stands on ``source``. Others use ``medium`` (the seam), ``opening`` (a
path becomes a medium) and ``formats`` (bytes become one).
"""
