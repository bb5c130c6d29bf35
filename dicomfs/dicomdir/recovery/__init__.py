"""Mending the links of a DICOMDIR: from all its records to the tree they were meant as.

It stands on ``index`` and ``origin``. Others use ``repair``, and the depth that
``forest`` allows. The ``ladder`` finds out what the links mean, ``placing`` where the records belong that no link leads to.
``forest`` is what both work on. Nothing here moves an instance to another patient,
study or series than its chain of records or its own header says.
"""
