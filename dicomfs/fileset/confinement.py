"""Giving up all but the sources: done before the first byte of them is parsed."""

import gc
from collections.abc import Iterable, Sequence
from typing import Final

from dicomfs.dicom import charsets
from dicomfs.fileset import spelling
from dicomfs.media.opening import OpenedFolder, OpenedSource
from dicomfs.sandbox import confine, environment, inheritance, loading

# socket imports the first when it takes a descriptor, Counter the second when it is asked
# what is most common.
_ALWAYS_NEEDED: Final = ("array", "heapq")
# What images and archives need, and URLs; of a folder nobody does.
_FORMATS: Final = ("dicomfs.media.formats",)
# A scan looks into files that are packed.
_PACKED: Final = ("bz2", "lzma")


def confine_to(
    sources: Sequence[OpenedSource], own: Iterable[int], *, scan: bool
) -> list[str]:
    """Leave this process nothing but to read *sources*, and descriptors of its *own*.

    To be called before any thread is started, as rights belong to threads. Returns what
    could not be given up, in words; the kernel lacks that, and the rest holds all the
    same.
    """
    _load(sources, scan=scan)
    held = [descriptor for source in sources for descriptor in source.descriptors]
    inheritance.keep_descriptors([*own, *held])
    environment.leave()
    loading.end()
    # What is loaded stays: to look through it again and again would free nothing.
    gc.freeze()
    folders = [source.fd for source in sources if isinstance(source, OpenedFolder)]
    return confine.restrict(confine.Rights(folders, of_others=True))


def _load(sources: Sequence[OpenedSource], *, scan: bool) -> None:
    """Load what will be needed: nothing can be loaded once rights are given up."""
    is_plain = all(isinstance(source, OpenedFolder) for source in sources)
    load(is_plain=is_plain, scan=scan)


def load(*, is_plain: bool, scan: bool) -> None:
    """Load what reading takes, of folders alone if it *is_plain*, or of any source.

    Who forks a process for each of many sources does it before: else each one does.
    """
    needed = _ALWAYS_NEEDED + (() if is_plain else _FORMATS)
    codecs = charsets.CODECS.union(spelling.CODECS)
    loading.load(codecs, needed + (_PACKED if scan else ()))
