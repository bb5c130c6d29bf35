"""Copying what a mount would show to another place, without one. It stands on ``tree``.

Whoever reads the medium may write nothing, and whoever writes reads nothing of it but
bytes, names and sizes (``copying.wire``).
"""
