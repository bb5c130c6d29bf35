"""Files that lie in another folder than their File IDs say.

A disc that is copied into a folder without its DICOMDIR, or a DICOMDIR without the
folder, has File IDs with a few components too many or too few; and there are writers
that leave the parent folder out. The search for the files is made once for a File-set,
and only when files are missing: some of its instances are looked for, and their own
headers have to confirm that they are found.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Final, NamedTuple

from dicomfs.fileset.fileid import Names
from dicomfs.fileset.locate import (
    Located,
    Locator,
    Start,
    Together,
    WrittenLocator,
    is_missing,
)
from dicomfs.fileset.uids import Uids
from dicomfs.media.medium import Medium, Place, shown
from dicomfs.media.walk import Walk

# The bounds of a search, which on a disc may take a seek for each of them.
MOST_FOLDERS: Final = 1000
MAX_DEPTH: Final = 8
MOST_HEADERS: Final = 128
_MOST_NAMES: Final = 200_000


class Sample(NamedTuple):
    """An instance by the components of its File ID, and its SOP Instance UID."""

    path: Place
    uid: bytes


class Move(NamedTuple):
    """A folder has moved: File IDs call it *prefix*, and on the medium it is *base*."""

    prefix: Place
    base: Place

    def located(
        self, locator: Locator, paths: Sequence[Place]
    ) -> list[Located | OSError]:
        """Return where the files of *paths* are; *locator* finds those below *base*."""
        return locator.locate_all([path[len(self.prefix) :] for path in paths])

    def __str__(self) -> str:
        return f"what is listed in {_named(self.prefix)} lies in {_named(self.base)}"


class MovedLocator(Locator):
    """Finds the files of a File-set whose root was the folder *root* of *medium*.

    They lie where the File IDs say, or where the File-set was moved to. *samples* is
    asked once for instances that can tell, *on_move* hears what they told, and *on_end*
    that not all of the medium was looked at. *is_near* tells of a sample whether it lies
    where it should, under another name: then it was not moved.
    """

    def __init__(
        self,
        medium: Medium,
        root: Place,
        samples: Callable[[], Sequence[Sample]],
        on_move: Callable[[Move], None],
        on_end: Callable[[], None],
        is_near: Callable[[Sample], bool] = lambda _: False,
    ) -> None:
        self._medium = medium
        self._root = root
        self._samples = samples
        self._on_move = on_move
        self._on_end = on_end
        self._is_near = is_near
        self._written = WrittenLocator(medium, root)
        self._lock = threading.Lock()
        self._is_sought = False
        self._move: Move | None = None
        self._moved: Locator = self._written

    @property
    def starts(self) -> Sequence[Start]:
        """The root, and where the File-set was found to be moved to."""
        move = self._move
        moved = [] if move is None else [Start(move.base, len(move.prefix))]
        return [*self._written.starts, *moved]

    def names(self, folder: Place) -> Iterable[bytes]:
        """Return what is in *folder*, which is listed once; raises OSError."""
        return self._written.names(folder)

    def locate_all(self, paths: Sequence[Place]) -> list[Located | OSError]:
        """Return where the files lie; what is not where it should be may be moved."""
        return self._or_moved(paths, self._written.locate_all(paths))

    def locate_in(
        self, folder: Place, names: Sequence[bytes]
    ) -> Together | list[Located | OSError]:
        """Return the same for *names* in one folder."""
        found = self._written.locate_in(folder, names)
        if isinstance(found, Together):
            return found
        return self._or_moved([(*folder, name) for name in names], found)

    def _or_moved(
        self, paths: Sequence[Place], found: list[Located | OSError]
    ) -> list[Located | OSError]:
        """Return what was *found* of *paths*, elsewhere what is missing there."""
        if any(map(is_missing, found)) and (move := self._sought()):
            numbers = [
                number
                for number, (path, where) in enumerate(zip(paths, found, strict=True))
                if is_missing(where) and _lies_in(path, move.prefix)
            ]
            moved = move.located(self._moved, [paths[number] for number in numbers])
            for number, where in zip(numbers, moved, strict=True):
                found[number] = where
        return found

    def _sought(self) -> Move | None:
        """Return where the File-set was moved to; looked for once, found or not."""
        with self._lock:
            if not self._is_sought:
                self._move = self._found_move()
                self._is_sought = True
                if self._move is not None:
                    self._moved = WrittenLocator(self._medium, self._move.base)
                    self._on_move(self._move)
            return self._move

    def _found_move(self) -> Move | None:
        """Look for where the File-set was moved to, if most of its samples are missing."""
        samples = self._samples()
        found = self._written.locate_all([each.path for each in samples])
        missing = [
            sample
            for sample, where in zip(samples, found, strict=True)
            if is_missing(where) and not self._is_near(sample)
        ]
        if not _are_most(missing, samples):
            return None
        return find_move(self._medium, self._root, missing, self._on_end)


def find_move(
    medium: Medium,
    root: Place,
    missing: Sequence[Sample],
    on_end: Callable[[], None] = lambda: None,
) -> Move | None:
    """Return where the files of the File-set at *root* are that are *missing* there.

    Most of them have to lie in one other folder, and to say themselves that they are
    what is looked for; one that says something else is enough for doubt. If several
    folders have them in different versions, nobody can tell which is meant: then the
    answer is None. *on_end* hears if the search came to its bounds and found nothing.
    """
    search = _Search(medium, root, missing)
    fits = [*search.fits()]
    if search.is_bounded and not fits:
        on_end()
    # The one that concerns most File IDs and explains most, of those the nearest.
    best = min(
        fits, key=lambda fit: (len(fit.move.prefix), -len(fit.sizes)), default=None
    )
    if best is None or any(best.contradicts(fit) for fit in fits):
        return None
    return best.move


class _Fit(NamedTuple):
    """A move that is confirmed, by the sizes of the files that are found by it."""

    move: Move
    sizes: Mapping[Sample, int]

    def contradicts(self, other: "_Fit") -> bool:
        return any(
            self.sizes.get(sample, size) != size for sample, size in other.sizes.items()
        )


class _Search:
    """One look through the folders of a medium, for those that have *missing* files."""

    def __init__(self, medium: Medium, root: Place, missing: Sequence[Sample]) -> None:
        self._medium = medium
        self._root = root
        self._missing = missing
        self._uids = Uids(medium, MOST_HEADERS, self._bound)
        # Whether there was more than is looked at.
        self.is_bounded = False
        prefixes = {
            each.path[:length] for each in missing for length in range(len(each.path))
        }
        below = {
            prefix: [each for each in missing if _lies_in(each.path, prefix)]
            for prefix in sorted(prefixes, key=lambda prefix: (len(prefix), prefix))
        }
        # Those that could explain most of them.
        self._prefixes = {
            prefix: those
            for prefix, those in below.items()
            if _are_most(those, missing)
        }

    def _bound(self) -> None:
        self.is_bounded = True

    def fits(self) -> Iterator[_Fit]:
        """Yield the moves that explain where most files are, those near the root first."""
        for folder, names in self._folders():
            for prefix, samples in self._prefixes.items():
                move = Move(prefix, folder)
                wanted = {sample.path[len(prefix)] for sample in samples}
                is_new = move != Move((), self._root)
                if is_new and any(map(names.match, wanted)):
                    yield from self._fit(move, samples)

    def _folders(self) -> Iterator[tuple[Place, Names]]:
        """Yield folders and what is in them: first the File-set's, then the medium's."""
        seen: set[Place] = set()
        left = _MOST_NAMES
        for start in (self._root, ()):
            walk = Walk(self._medium, start, depth=MAX_DEPTH, by_level=True, known=seen)
            for folder in walk:
                seen.add(folder.place)
                left -= len(folder.entries)
                # A folder that cannot be read costs only itself.
                if folder.error is None:
                    yield folder.place, Names(folder.entries)
                is_deepest = len(folder.place) == MAX_DEPTH and bool(folder.folders)
                is_last = len(seen) >= MOST_FOLDERS or left <= 0
                self.is_bounded = self.is_bounded or is_deepest or is_last
                if is_last:
                    return

    def _fit(self, move: Move, samples: Sequence[Sample]) -> Iterator[_Fit]:
        """Yield *move* if most of the missing files are where it says, and no others."""
        sizes: dict[Sample, int] = {}
        locator = WrittenLocator(self._medium, move.base)
        located = move.located(locator, [each.path for each in samples])
        there = [
            (sample, *where)
            for sample, where in zip(samples, located, strict=True)
            if not isinstance(where, OSError)
        ]
        if not _are_most(there, self._missing):
            return
        for sample, place, status in there:
            if not (uid := self._uids.of(place)):
                continue
            if uid != sample.uid:
                return
            sizes[sample] = status.size
        if _are_most(sizes, self._missing):
            yield _Fit(move, sizes)


def _are_most(some: Sized, of: Sized) -> bool:
    return 2 * len(some) > len(of)


def _lies_in(path: Place, folder: Place) -> bool:
    # A File ID may be what is the folder of others.
    return len(path) > len(folder) and path[: len(folder)] == folder


def _named(folder: Place) -> str:
    return "/" + shown(folder)
