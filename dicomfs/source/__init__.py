"""Bytes at offsets: what every reader of dicomfs stands on.

It stands on nothing but the ground (``errors``). Others use ``source`` (the seam and what
wraps one), ``file`` (open files and devices), ``window`` (small reads out of large ones),
``cache`` (what may be wanted again) and ``pulse`` (signs of life).
"""
