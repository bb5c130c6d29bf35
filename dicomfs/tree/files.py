"""The files of a folder by columns: a node is made of one when somebody asks for it.

Who lists a folder wants names, numbers, sizes and times. A node for each file would take
four times the memory, and longer to make than all that is shown of it.
"""

from array import array
from bisect import bisect_left
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from dicomfs.fileset.fileset import FileSet
from dicomfs.tree import naming
from dicomfs.tree.identity import ORDINALS, ROW_BITS, file_inode
from dicomfs.tree.selection import Instance, Selection


class Columns(NamedTuple):
    """What is known of files, each column in the order of their *numbers*.

    *ordinals* say which each is in the order in which they lie; *paths* are from the root
    of the medium, and sizes and times as in ``Status``.
    """

    numbers: Sequence[int]
    ordinals: Sequence[int]
    offsets: Sequence[int]
    uids: Sequence[bytes]
    paths: Sequence[bytes]
    sizes: Sequence[int]
    mtimes_ns: Sequence[int]
    changes_ns: Sequence[int]


# What a listing shows of a file: name, inode number, size, and time in nanoseconds.
Shown = tuple[bytes, int, int, int]


class Files(Mapping[str, Instance]):
    """The files in *folder*, of records of *file_set*, by name and in the order of names.

    They are images with different *numbers*, by which they are called. Nodes are the same
    objects whenever they are asked for.
    """

    def __init__(self, folder: Selection, file_set: FileSet, columns: Columns) -> None:
        self._folder = folder
        self._file_set = file_set
        self._numbers = array("Q", columns.numbers)
        self._width = naming.width_of(columns.numbers[-1:], naming.INSTANCE_DIGITS)
        self._name = partial(naming.numbered, width=self._width)
        # The same in bytes: there are many of them, and nobody keeps them.
        self._shown_name = (b"%%0%dd.dcm" % self._width).__mod__
        self._offsets = array("I", columns.offsets)
        self._uids = _Strings(columns.uids)
        self._paths = _Strings(columns.paths)
        self._sizes = array("Q", columns.sizes)
        self._mtimes_ns = array("q", columns.mtimes_ns)
        self._changes_ns = array("q", columns.changes_ns)
        numbers = (file_inode(folder.inode, each) for each in columns.ordinals)
        self._inodes = array("Q", numbers)
        self.row = file_inode(folder.inode, 0) >> ROW_BITS
        # Which file has an inode number: found out when somebody asks.
        self._places: Sequence[int] = ()
        self._beyond: dict[int, int] = {}
        self._made: dict[int, Instance] = {}
        # Most files have the same size or time: one number for all nodes is enough.
        self._same: dict[int, int] = {}

    # -- by name -----------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return map(self._name, self._numbers)

    def __getitem__(self, name: str) -> Instance:
        place = self._place(name)
        if place is None:
            raise KeyError(name)
        return self.at(place)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._place(name) is not None

    def values(self) -> ValuesView[Instance]:
        """Return all nodes."""
        return _Nodes(self)

    def items(self) -> ItemsView[str, Instance]:
        """Return all names and nodes."""
        return _NamedNodes(self)

    def _place(self, name: str) -> int | None:
        stem = name.removesuffix(naming.EXTENSION)
        if not (stem.isascii() and stem.isdigit() and len(stem) == self._width):
            return None
        place = bisect_left(self._numbers, int(stem))
        is_there = place < len(self) and self._name(self._numbers[place]) == name
        return place if is_there else None

    # -- by place in the order of names ------------------------------------------------

    def at(self, place: int) -> Instance:
        """Return the node that is number *place*, counted from 0."""
        node = self._made.get(place)
        return node or self._made.setdefault(place, self._node(place))

    def _node(self, place: int) -> Instance:
        folder, offset, same = self._folder, self._offsets[place], self._same.setdefault
        mtime_ns, changed_ns = self._mtimes_ns[place], self._changes_ns[place]
        size = self._sizes[place]
        said = folder.claims.heads.reason((self._file_set.identity, offset))
        return Instance(
            self._inodes[place],
            self._name(self._numbers[place]),
            folder,
            same(mtime_ns, mtime_ns),
            self._file_set,
            offset,
            tuple(self._paths[place].split(b"/")),
            same(size, size),
            0,
            said,
            (),
            same(changed_ns, changed_ns),
            self._uids[place],
            bool(said),
        )

    def shown(self, start: int = 0) -> Iterator[Shown]:
        """Yield what is shown of each file from number *start* on."""
        here = slice(start, None)
        return zip(
            map(self._shown_name, memoryview(self._numbers)[here]),
            memoryview(self._inodes)[here],
            memoryview(self._sizes)[here],
            memoryview(self._mtimes_ns)[here],
            strict=True,
        )

    # -- by inode number ---------------------------------------------------------------

    @property
    def is_one_row(self) -> bool:
        """Whether all inode numbers begin with the number of the *row*."""
        return len(self) <= ORDINALS + 1

    def place_of(self, inode: int) -> int | None:
        """Return which file has the number *inode*, None if none has."""
        if not self._places:
            self._count_inodes()
        if inode >> ROW_BITS != self.row:
            return self._beyond.get(inode)
        ordinal = inode & ORDINALS
        return self._places[ordinal] if ordinal < len(self._places) else None

    def _count_inodes(self) -> None:
        in_row = array("I", bytes(4 * min(len(self), ORDINALS + 1)))
        for place, inode in enumerate(self._inodes):
            if inode >> ROW_BITS == self.row:
                in_row[inode & ORDINALS] = place
            else:
                self._beyond[inode] = place
        self._places = in_row

    def is_same(self, other: object) -> bool:
        """Whether *other* are the same files, listed anew."""
        return (
            isinstance(other, Files)
            and self._folder.is_same(other._folder)
            and self._file_set.identity == other._file_set.identity
            and self._offsets == other._offsets
            and self._inodes == other._inodes
        )


class _Nodes(ValuesView[Instance]):
    """The nodes of files: each is asked for by its place, and not by its name."""

    _mapping: Files

    def __iter__(self) -> Iterator[Instance]:
        return map(self._mapping.at, range(len(self._mapping)))


class _NamedNodes(ItemsView[str, Instance]):
    """The same with their names."""

    _mapping: Files

    def __iter__(self) -> Iterator[tuple[str, Instance]]:
        return zip(self._mapping, _Nodes(self._mapping), strict=True)


class _Strings:
    """Strings of bytes, one behind the other: an object for each would take twice as much."""

    def __init__(self, strings: Sequence[bytes]) -> None:
        self._data = b"".join(strings)
        width = "I" if len(self._data) < 1 << 32 else "Q"
        self._ends = array(width, accumulate(map(len, strings)))

    def __getitem__(self, number: int) -> bytes:
        begin = self._ends[number - 1] if number else 0
        return self._data[begin : self._ends[number]]
