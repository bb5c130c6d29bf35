"""Extras: what is listed beside the instances, for people without a DICOM viewer (``--extras``).

It stands on ``tree`` and ``documents``. Without that option nobody loads it.
"""
