"""A tar archive as a medium: its members are read where they lie.

Opening it goes through all headers, as a tar archive has no directory. A member that
cannot be shown as it is costs itself: it is listed, and its status says why.
"""

import errno
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from dicomfs.errors import CutOffError, MediumError
from dicomfs.findings import Finding
from dicomfs.media import membername
from dicomfs.media.archive import Archive
from dicomfs.media.medium import Place
from dicomfs.media.membername import NO_NAME, SLASH, UnsafeNameError
from dicomfs.media.members import Folder, Tree, findings_of, folder_at
from dicomfs.media.tar.header import BLOCK, parse
from dicomfs.media.tar.members import Member, Members
from dicomfs.source.source import Extent, ExtentSource, Source, Status, clipped

_MOST_MEMBERS: Final = 200_000
_NO_TARGET: Final = "it is a link to a member that is not there"


def recognises(source: Source) -> bool:
    """Return whether *source* begins with the header of a tar archive."""
    header = parse(source.read_at(0, BLOCK))
    return header is not None and bool(header.name)


@dataclass(frozen=True, slots=True)
class TarEntry:
    """A file, a folder or what is neither; *refusal* is why a file cannot be read."""

    extent: Extent
    mtime_ns: int
    is_folder: bool = False
    is_file: bool = False
    is_cut_off: bool = False
    refusal: str = ""

    @property
    def status(self) -> Status:
        """Length and time; raises OSError where not all of it can be read."""
        if self.refusal:
            raise OSError(errno.EIO, self.refusal)
        if self.is_cut_off:
            raise CutOffError
        return Status(self.extent.size, self.mtime_ns)


class _Named(NamedTuple):
    """A member, as far as its place in the tree goes."""

    name: bytes
    is_folder: bool

    @property
    def is_rooted(self) -> bool:
        """Whether its name begins at a root."""
        return membername.is_rooted(self.name)

    def path(self) -> Place:
        """Return its path; raises UnsafeNameError."""
        path = membername.path_of(self.name, SLASH)
        if not path and not self.is_folder:
            raise UnsafeNameError(NO_NAME)
        return path


class Tar(Archive[TarEntry]):
    """A tar archive in a source, which it owns."""

    def __init__(self, source: Source) -> None:
        """Go through its headers; raises MediumError if there are none, and OSError."""
        super().__init__(source)
        self.left_out: Counter[str] = Counter()
        self._names: list[bytes] = []
        self._offsets = array("Q")
        self._sizes = array("Q")
        self._times = array("Q")
        # Of few members more is to be said, by their numbers.
        self._refusals: dict[int, str] = {}
        self._others: set[int] = set()
        links: dict[int, bytes] = {}
        members = Members(source)
        tree = Tree(self.left_out, self._names.__getitem__)
        for member in members:
            self._add(tree, member, links)
        if not self._names and not tree.root.folders:
            raise MediumError("it has no members")
        tree.finish()
        self._root = tree.root
        self._rooted = tree.rooted
        self._follow(links)
        self.is_cut_off = members.is_cut_off
        for reason, count in (
            ("a header that is damaged", members.damaged),
            ("a member of a kind that is not known", members.unknown),
        ):
            if count:
                self.left_out[reason] += count

    def _add(self, tree: Tree, member: Member, links: dict[int, bytes]) -> None:
        number = len(self._names)
        if number == _MOST_MEMBERS:
            raise MediumError(f"it has more than {_MOST_MEMBERS} members")
        # The tree asks for the name of what it adds only later.
        if not tree.add(_Named(member.name, member.is_folder), number):
            return
        self._names.append(_Named(member.name, is_folder=False).path()[-1])
        self._offsets.append(member.offset)
        self._sizes.append(member.size)
        self._times.append(member.mtime_ns)
        if member.refusal:
            self._refusals[number] = member.refusal
        if member.link is not None:
            links[number] = member.link
        elif not member.is_file:
            self._others.add(number)

    def _follow(self, links: Mapping[int, bytes]) -> None:
        """Let hard links be the members that they name, which come before them."""
        there = dict(self._files(self._root, ())) if links else {}
        for number, link in links.items():
            target = there.get(_path_of(link))
            if target is None or target >= number or target in self._others:
                self._refusals[number] = _NO_TARGET
                continue
            self._offsets[number] = self._offsets[target]
            self._sizes[number] = self._sizes[target]
            if target in self._refusals:
                self._refusals[number] = self._refusals[target]

    def _files(self, folder: Folder, place: Place) -> Iterator[tuple[Place, int]]:
        """Yield the paths below *folder*, which is at *place*, with their numbers."""
        for number in folder.numbers:
            yield (*place, self._names[number]), number
        for name, below in folder.folders.items():
            yield from self._files(below, (*place, name))

    def read_folder(self, folder: Place) -> Mapping[bytes, TarEntry]:
        """Return the members in *folder*."""
        found = folder_at(self._root, folder, self._names.__getitem__)
        nothing = TarEntry(Extent(0, 0), 0, is_folder=True)
        return {
            **dict.fromkeys(found.folders, nothing),
            **{self._names[number]: self._entry(number) for number in found.numbers},
        }

    def _entry(self, number: int) -> TarEntry:
        extent = Extent(self._offsets[number], self._sizes[number])
        return TarEntry(
            extent,
            self._times[number],
            is_file=number not in self._others,
            is_cut_off=sum(extent) > self._source.size,
            refusal=self._refusals.get(number, ""),
        )

    def findings(self) -> Iterator[Finding]:
        """Return that it is cut off, and what it shows nothing of."""
        return findings_of(self.left_out, self._rooted, is_cut_off=self.is_cut_off)

    def open_entry(self, entry: TarEntry) -> Source:
        """Open a file, what is left of one that was cut off; raises OSError."""
        if entry.refusal:
            raise OSError(errno.EIO, entry.refusal)
        extents = clipped([entry.extent], self._source.size)
        return ExtentSource(self._source, extents, entry.mtime_ns)


def _path_of(link: bytes) -> Place:
    """Return the path of what a hard link names, the root if it is none."""
    try:
        return _Named(link, is_folder=False).path()
    except UnsafeNameError:
        return ()
