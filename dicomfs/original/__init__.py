"""The disc in good order: its instances under their File IDs, and a DICOMDIR that is right.

It stands on ``tree``. Whoever does not look into it pays nothing for it.
"""
