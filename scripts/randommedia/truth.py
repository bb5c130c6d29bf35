"""What the discs of a medium have to show together.

The rules are those of the manual (``docs/names.md``, who and what is joined):

* on one disc two files are two entries, and one file that is listed twice is one;
* files of several discs that have one UID are one entry if no disc has two of that UID
  and their sizes agree, else all are shown;
* who is called by a placeholder is nobody, unless two discs have a study in common.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

PATIENT, STUDY, SERIES = range(3)
LEVELS: Final = ("patient", "study", "series")


@dataclass(frozen=True, slots=True)
class Folder:
    """A patient, study or series: all that has its *key* (and above it) is in one folder.

    The tree has to say one of *said* of it: IDs of a patient, or UIDs; and for a patient
    one of *names*, unless nobody can tell how the name is meant.
    """

    key: str
    said: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class Listed:
    """A file that a disc lists: its bytes, None if it is missing, and where it belongs.

    In a folder that is nothing of these it belongs to the *aside* of that name. *nobody*
    is who stands for a patient without being anybody in particular.
    """

    disc: int
    place: str
    data: bytes | None
    uid: str
    folders: list[Folder | None]
    aside: str = ""
    nobody: str = ""


class Expected(NamedTuple):
    """An entry that has to be shown once: the file with one of these SHA-256 digests.

    Without any the file is missing, and opening the entry has to fail.
    """

    digests: list[str]
    uid: str
    folders: list[Folder | None]
    files: list[str]


def expected(listed: Sequence[Listed]) -> list[Expected]:
    """Return what has to be shown of all that the discs list."""
    _join_nobodies(listed)
    _say_all(listed)
    together: dict[tuple[object, ...], list[Listed]] = defaultdict(list)
    for number, each in enumerate(_once(listed)):
        # Without a UID it is the same as no other.
        own = each.uid or number
        together[*_keys(each), each.aside, own].append(each)
    return [entry for alike in together.values() for entry in _entries(alike)]


def _keys(each: Listed) -> list[str]:
    return [folder.key if folder else "" for folder in each.folders]


def _once(listed: Iterable[Listed]) -> Iterable[Listed]:
    """Return what is *listed* without what lists the same file in the same folder."""
    found = {
        (*_keys(each), each.aside, each.disc, each.place.lower(), each.uid): each
        for each in listed
    }
    return found.values()


def _entries(alike: list[Listed]) -> list[Expected]:
    """Return one entry for files of one UID in one folder, or one for each."""
    discs = {each.disc for each in alike}
    sizes = {len(each.data) for each in alike if each.data is not None}
    if len(discs) == len(alike) and len(sizes) <= 1:
        return [_entry(alike)]
    return [_entry([each]) for each in alike]


def _entry(copies: list[Listed]) -> Expected:
    there = {each.data for each in copies if each.data is not None}
    return Expected(
        sorted(hashlib.sha256(data).hexdigest() for data in there),
        copies[0].uid,
        copies[0].folders,
        sorted(f"disc {each.disc}: {each.place}" for each in copies),
    )


def _say_all(listed: Iterable[Listed]) -> None:
    """Let all that is of one folder say the same: any record of it may be asked."""
    said: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for each in listed:
        for level, folder in enumerate(each.folders):
            if folder is not None:
                said[tuple(_keys(each)[: level + 1])].update(folder.said)
    for each in listed:
        keys = _keys(each)
        for level, folder in enumerate(each.folders):
            if folder is not None:
                every = tuple(sorted(said[tuple(keys[: level + 1])]))
                each.folders[level] = replace(folder, said=every)


def _join_nobodies(listed: Iterable[Listed]) -> None:
    """Join those of the placeholders on several discs that have a study in common."""
    discs: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for each in listed:
        study = each.folders[STUDY]
        if each.nobody and study is not None:
            for uid in filter(None, study.said):
                discs[each.nobody][uid].add(each.disc)
    first = {key: _first_of(studies) for key, studies in discs.items()}
    for each in listed:
        folder = each.folders[PATIENT]
        if each.nobody and folder is not None:
            disc = first.get(each.nobody, {}).get(each.disc, each.disc)
            each.folders[PATIENT] = replace(folder, key=f"{folder.key} on {disc}")


def _first_of(studies: Mapping[str, set[int]]) -> dict[int, int]:
    """Return for each disc the first of those that it is linked to by studies."""
    found = {disc: disc for discs in studies.values() for disc in discs}
    for _ in found:
        for discs in studies.values():
            least = min(found[disc] for disc in discs)
            found.update(dict.fromkeys(discs, least))
    return found
