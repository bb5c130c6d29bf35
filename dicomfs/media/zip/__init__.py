"""ZIP archives (APPNOTE.TXT), read in place and inflated once.

Others use ``archive`` and, for the library that ciphers need, ``decrypt``. The bytes of an
archive are read by ``central``, ``record`` and ``header``; ``member`` and ``starts`` say of
each member whether and where it can be opened, ``tree`` in which folder it lies, and
``inflate`` gives its bytes by ``codec`` and ``decrypt``.
"""
