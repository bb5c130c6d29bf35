"""Documents in instances: what programs other than DICOM viewers can open.

It stands on ``dicom``. The bytes of an instance go in, documents come out, by extension.
"""
