"""Media: what a patient CD is to the rest of dicomfs, wherever its bytes lie.

It stands on ``source``. Others use ``medium`` (the seam), ``walk`` (through its folders),
``opening`` (a path becomes a medium), ``formats`` (bytes become one) and ``mountinfo``.
"""
