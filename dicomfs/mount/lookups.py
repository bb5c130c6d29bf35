"""The nodes that the kernel knows, and how often it was told of each of them."""

from dicomfs.tree.node import Node


class Lookups:
    """Nodes by inode number, each known until the kernel has forgotten every look-up."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        # Look-ups beyond the first: most nodes are looked up once, and cost nothing here.
        self._more: dict[int, int] = {}

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
            self._more[inode] = self._more.get(inode, 0) + 1
        if known is not node:
            self._nodes[inode] = node

    def forget(self, inode: int, count: int) -> Node | None:
        """Take *count* look-ups back; return the node if the kernel knows it no more."""
        if inode not in self._nodes:
            return None
        more = self._more.pop(inode, 0) - count
        if more < 0:
            return self._nodes.pop(inode)
        if more:
            self._more[inode] = more
        return None
