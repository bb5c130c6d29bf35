"""The catalogue: what is on media, row by row. It stands on ``tree``.

``dicomfs catalogue``, ``dicomfs tree --studies`` and the mount's own file give the same rows.
"""
