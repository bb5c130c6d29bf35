"""UDF images (ECMA-167 and OSTA UDF), read in user space.

Others use ``image``. It stands on ``volume``, that on ``node`` and ``description``, those
on ``partition``, and all on ``descriptor``.
"""
