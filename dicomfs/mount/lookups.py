"""The nodes that the kernel knows, and how often it was told of each of them."""

from array import array
from collections.abc import Mapping

from dicomfs.tree.files import Files
from dicomfs.tree.identity import ORDINALS, ROW_BITS, is_in_a_row
from dicomfs.tree.node import Node


class Lookups:
    """Nodes by inode number, each known until the kernel has forgotten every look-up.

    Of files that it met in a listing it is enough to know which listing that was.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        # Look-ups beyond the first.
        self._more = _Tally()
        self._listed: dict[int, Listed] = {}
        # Those of them that have files beyond one row.
        self._large: dict[int, Listed] = {}

    def get(self, inode: int) -> Node | None:
        """Return the node that the kernel knows by *inode*, None if there is none."""
        node = self._nodes.get(inode)
        if node is not None or (listed := self._listed_with(inode)) is None:
            return node
        return listed.node(inode)

    def is_free(self, node: Node) -> bool:
        """Whether the kernel knows no other node by the inode number of *node*.

        The numbers are hashes: should two ever be the same, neither may be taken for
        the other.
        """
        known = self.get(node.inode)
        return known is None or known is node or known.is_same(node)

    def add(self, node: Node) -> None:
        """Count a look-up of *node*, which may have been listed anew since the last."""
        inode = node.inode
        known = self._nodes.get(inode)
        if known is not None:
            self._more.add(inode, 1)
        if known is not node:
            self._nodes[inode] = node

    def listed(self, files: Files) -> "Listed | None":
        """Return what counts look-ups of *files*, None if it counts those of others."""
        listed = self._listed.get(files.row)
        if listed is None or not listed.count:
            listed = self._listed[files.row] = Listed(files, self._nodes)
            if not files.is_one_row:
                self._large[files.row] = listed
        elif listed.files is not files:
            if not listed.files.is_same(files):
                return None
            listed.files = files
        return listed

    def forget(self, inode: int, count: int) -> Node | None:
        """Take *count* look-ups back; return the node if the kernel knows it no more.

        None if only a listing has it.
        """
        if (listed := self._listed_with(inode)) is not None:
            count = listed.forget(inode, count)
            if not listed.count:
                self._listed.pop(listed.files.row)
                self._large.pop(listed.files.row, None)
        if not count or inode not in self._nodes:
            return None
        more = self._more.take(inode) - count
        if more < 0:
            return self._nodes.pop(inode)
        if more:
            self._more.add(inode, more)
        return None

    def _listed_with(self, inode: int) -> "Listed | None":
        """Return the listing in which the kernel met the file of number *inode*."""
        if is_in_a_row(inode):
            listed = self._listed.get(inode >> ROW_BITS)
            return listed if listed is not None and listed.has(inode) else None
        return next((each for each in self._large.values() if each.has(inode)), None)


class Listed:
    """How often the kernel met each of *files* in a listing; it may know *nodes*, too."""

    def __init__(self, files: Files, nodes: Mapping[int, Node]) -> None:
        self.files = files
        # Asked for every file of every listing.
        self.node_with = nodes.get
        # Of all of them together.
        self.count = 0
        self._counts = array("L", bytes(array("L").itemsize * len(files)))

    def is_free(self, place: int, known: Node) -> bool:
        """Whether the node that is *known* by the number of the file at *place* is that."""
        return known.is_same(self.files.at(place))

    def add(self, places: range) -> None:
        """Count that it met the files at *places*."""
        counts = self._counts
        for place in places:
            counts[place] += 1
        self.count += len(places)

    def has(self, inode: int) -> bool:
        """Whether it knows the file with the number *inode*."""
        place = self.files.place_of(inode)
        return place is not None and self._counts[place] > 0

    def node(self, inode: int) -> Node | None:
        """Return the file with the number *inode*."""
        place = self.files.place_of(inode)
        return None if place is None else self.files.at(place)

    def forget(self, inode: int, count: int) -> int:
        """Take *count* look-ups of a file back; return how many more there are to take."""
        place = self.files.place_of(inode)
        taken = 0 if place is None else min(self._counts[place], count)
        if place is not None:
            self._counts[place] -= taken
        self.count -= taken
        return count - taken


class _Tally:
    """Counts by inode number; one that was never added to is 0.

    The files of a folder are numbered in a row, and their counts lie side by side: a
    dictionary with an entry for each would take ten times as much.
    """

    def __init__(self) -> None:
        self._single: dict[int, int] = {}
        self._rows: dict[int, array[int]] = {}

    def add(self, inode: int, count: int) -> None:
        """Add *count* to that of *inode*."""
        row, ordinal = self._rows.get(inode >> ROW_BITS), inode & ORDINALS
        if row is not None and ordinal < len(row):
            row[ordinal] += count
        elif is_in_a_row(inode):
            row = self._rows.setdefault(inode >> ROW_BITS, array("Q"))
            row.extend([0] * (ordinal - len(row)))
            row.append(count)
        else:
            self._single[inode] = self._single.get(inode, 0) + count

    def take(self, inode: int) -> int:
        """Return the count of *inode*, which is 0 from now on."""
        row, ordinal = self._rows.get(inode >> ROW_BITS), inode & ORDINALS
        if row is None or ordinal >= len(row):
            return self._single.pop(inode, 0)
        count, row[ordinal] = row[ordinal], 0
        while row and not row[-1]:
            row.pop()
        if not row:
            del self._rows[inode >> ROW_BITS]
        return count
