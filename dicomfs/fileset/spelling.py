"""What the names of files may have become: elsewhere encoded, cut, or changed by a browser.

A name that is found here is a guess: only the header of its file can say whether it is
the one that a record means (see ``guesses``).
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final

from dicomfs.dicom import text

# What names are written in where Unicode is not: those of Windows, then those of DOS,
# in which ZIP archives have them. Some of them fit any bytes.
CODECS: Final = (
    *("utf_8", "gb18030", "cp932", "cp949", "cp950"),
    *(f"cp125{number}" for number in range(9)),
    *("cp874", "latin_1", "cp437", "cp850", "cp866"),
)
_SEPARATORS: Final = re.compile(r"[\\/]")
_VERSION: Final = re.compile(r";\d*$")
# What browsers and file managers add, and extensions, once or several times.
_ADDED: Final = re.compile(
    r"[ _-]?\(\d+\)$|\[\d+\]$|^(copy of|kopie von|copie de) "
    r"| - (copy|kopie|copie|copia|kopia)$|\.(dcm|dicom|dic|ima|bin|dat|txt|download)$"
)
# A number behind a name that is none itself, as a UID is.
_COUNTED: Final = re.compile(r"([^.]*[a-z_][^.]*(?:\.[a-z]+)?)\.\d{1,2}")
# 8.3: six letters and a number, or two letters and four digits of a hash and a number.
_CUT: Final = re.compile(r"(.{1,6})~\d+")
_HASHED: Final = re.compile(r"..[0-9a-f]{4}")
# Where eight letters are not enough, some programs count in the last three.
_NUMBERED: Final = re.compile(r".{5}\d{3}")
_LONGEST: Final = 8
_NOT_IN_DOS: Final = re.compile(r"[ .]")
_UNKNOWN_IN_DOS: Final = re.compile(r"[^a-z0-9_$%'@~`!(){}^#&-]")


def readings(value: bytes, character_sets: Sequence[bytes]) -> list[str]:
    """Return the texts that *value* may be: in *character_sets* first, then in others."""
    if value.isascii():
        return [value.decode()]
    found = [text.decode(value, character_sets)]
    for codec in CODECS:
        try:
            found.append(value.decode(codec))
        except UnicodeDecodeError:
            continue
    return list(dict.fromkeys(unicodedata.normalize("NFC", each) for each in found))


def paths(file_id: bytes, character_sets: Sequence[bytes]) -> Iterator[tuple[str, ...]]:
    """Yield the paths that a File ID may be, none of which leads up.

    A separator may be the second byte of a letter, so it is read as a whole.
    """
    for reading in readings(file_id, character_sets):
        parts = (part.strip(" \0") for part in _SEPARATORS.split(reading))
        path = tuple(part for part in parts if part not in {"", "."})
        if path and ".." not in path:
            yield path


class Spellings:
    """The names in one folder of a medium, by what they may have been called."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._bare: dict[str, list[bytes]] = {}
        self._cut: dict[str, list[bytes]] = {}
        self._all: list[tuple[str, bytes]] = []
        for name in names:
            for reading in _readings_of_name(name):
                bare, stem = bare_name(reading), _stem(reading)
                self._bare.setdefault(bare, []).append(name)
                self._all.append((stem, name))
                for key in _rests(stem):
                    self._cut.setdefault(key, []).append(name)

    @property
    def are_there(self) -> bool:
        """Whether there is any name."""
        return bool(self._all)

    def called(self, component: str) -> list[bytes]:
        """Return the names that *component* of a File ID may mean, each of them once."""
        stem = _stem(component)
        found = [
            *self._bare.get(bare_name(component), ()),
            *(name for key in _cut_to(stem) for name in self._cut.get(key, ())),
        ]
        if cut := _CUT.fullmatch(stem):
            found += self._beginning_with(cut[1])
        elif len(stem) == _LONGEST:
            found += self._beginning_with(stem)
        return list(dict.fromkeys(found))

    def _beginning_with(self, start: str) -> Iterator[bytes]:
        stems = self._sorted
        for at in range(bisect_left(stems, (start, b"")), len(stems)):
            stem, name = stems[at]
            if not stem.startswith(start):
                return
            yield name

    @cached_property
    def _sorted(self) -> list[tuple[str, bytes]]:
        return sorted(self._all)


def bare_name(name: str) -> str:
    """Return *name* without case, version, extensions and what a download adds."""
    bare = folded = _folded(name)
    if counted := _COUNTED.fullmatch(folded):
        bare = counted[1]
    while (shorter := _ADDED.sub("", bare).rstrip(" .")) != bare and shorter:
        bare = shorter
    return bare or folded


def _readings_of_name(name: bytes) -> list[str]:
    """Return what a name on the medium may be; UTF-8, wherever it can be that."""
    try:
        return [unicodedata.normalize("NFC", name.decode())]
    except UnicodeDecodeError:
        return readings(name, ())


def _folded(name: str) -> str:
    name = _VERSION.sub("", name).rstrip(" .")
    return unicodedata.normalize("NFC", name.casefold())


def _stem(name: str) -> str:
    """Return what comes before the extension, as far as DOS can write it."""
    stem, dot, extension = _folded(name).rpartition(".")
    return _UNKNOWN_IN_DOS.sub("_", _NOT_IN_DOS.sub("", stem if dot else extension))


def _rests(stem: str) -> Iterator[str]:
    """Yield the keys of a *stem* that may be what is left of a longer one."""
    if cut := _CUT.fullmatch(stem):
        yield f"{cut[1]}~"
        if _HASHED.fullmatch(cut[1]):
            yield f"{cut[1][:2]}#"
    elif len(stem) == _LONGEST:
        yield stem
        if _NUMBERED.fullmatch(stem):
            yield f"{stem[:5]}+"


def _cut_to(stem: str) -> Iterator[str]:
    """Yield the keys that a longer *stem* has when it was cut."""
    yield from (f"{stem[:length]}~" for length in range(1, min(len(stem), 6) + 1))
    yield f"{stem[:2]}#"
    if len(stem) > _LONGEST:
        yield stem[:_LONGEST]
        yield f"{stem[:5]}+"
