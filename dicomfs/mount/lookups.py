"""The nodes that the kernel knows, and how often it was told of each of them."""

from array import array

from dicomfs.tree.identity import ORDINALS, ROW_BITS, is_in_a_row
from dicomfs.tree.node import Node


class Lookups:
    """Nodes by inode number, each known until the kernel has forgotten every look-up."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        # Look-ups beyond the first.
        self._more = _Tally()

    def get(self, inode: int) -> Node | None:
        """Return the node that the kernel knows by *inode*, None if there is none."""
        return self._nodes.get(inode)

    def is_free(self, node: Node) -> bool:
        """Whether the kernel knows no other node by the inode number of *node*.

        The numbers are hashes: should two ever be the same, neither may be taken for
        the other.
        """
        known = self._nodes.get(node.inode)
        return known is None or known is node or known.is_same(node)

    def add(self, node: Node) -> None:
        """Count a look-up of *node*, which may have been listed anew since the last."""
        inode = node.inode
        known = self._nodes.get(inode)
        if known is not None:
            self._more.add(inode, 1)
        if known is not node:
            self._nodes[inode] = node

    def forget(self, inode: int, count: int) -> Node | None:
        """Take *count* look-ups back; return the node if the kernel knows it no more."""
        if inode not in self._nodes:
            return None
        more = self._more.take(inode) - count
        if more < 0:
            return self._nodes.pop(inode)
        if more:
            self._more.add(inode, more)
        return None


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
