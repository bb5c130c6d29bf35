"""The breakage catalogue as a table: what dicomfs and others make of broken media.

    __main__ ──> table                what each reader made of each medium
                   ├──> readers       dicomfs and pydicom, each medium in a process
                   └──> dcmtk         DCMTK, by a small program: walk.cc

The media are those of ``tests/build/breakage.py``.
"""
