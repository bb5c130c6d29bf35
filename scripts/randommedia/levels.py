"""Records above other records: there, doubled, missing, or with a private one between."""

from dataclasses import dataclass, replace

from scripts.randommedia.chance import Chance
from scripts.randommedia.instances import Node
from scripts.randommedia.truth import Folder
from tests.build.medium import Record, record


@dataclass(frozen=True, slots=True)
class Levels:
    """Puts records above nodes, and notes for their files what that means."""

    _chance: Chance

    def above(
        self, above: Record, nodes: list[Node], level: int, folder: Folder
    ) -> Node:
        """Return the record *above* these *nodes*, whose files belong into *folder*."""
        if not folder.key:
            folder = self.own(folder)
        listed = [each for node in nodes for each in node.listed]
        for each in listed:
            each.folders[level] = folder
        return Node(above, listed)

    def fill_in(self, nodes: list[Node], level: int, folder: Folder) -> None:
        """Let the headers of *nodes* say that they belong into *folder*.

        A record of which no file is there belongs nowhere else.
        """
        for node in nodes:
            is_known = any(each.data is not None for each in node.listed)
            own = replace(folder, said=(*folder.said, ""))
            if not is_known:
                own = replace(self.own(folder), said=("",), names=())
            for each in node.listed:
                each.folders[level] = own

    def own(self, folder: Folder) -> Folder:
        """Return a folder that nothing else is in."""
        return replace(folder, key=f"own {self._chance.disc}.{self._chance.number()}")

    def split(self, nodes: list[Node]) -> list[list[Node]]:
        """Return *nodes* as one list, or as two that have records of their own."""
        if len(nodes) > 1 and self._chance.rng.random() < 0.08:
            at = self._chance.rng.randrange(1, len(nodes))
            return [nodes[:at], nodes[at:]]
        return [nodes]

    def privately(self, nodes: list[Node], level: int) -> list[Node]:
        """Let some of *nodes* lie below a private record, which is a folder, too."""
        if not self._chance.rarely():
            return nodes
        first, *others = nodes
        mark = self._chance.mark()
        private = record("PRIVATE", [first.record], PrivateRecordUID=mark)
        for each in first.listed:
            folder = each.folders[level]
            assert folder is not None
            key = f"{mark}, {folder.key}"
            each.folders[level] = replace(folder, key=key)
        return [Node(private, first.listed), *others]

    def aside(self, nodes: list[Node]) -> list[Node]:
        """Let some of the instances of a series lie below a private record."""
        if len(nodes) < 2 or not self._chance.rarely():
            return nodes
        at = self._chance.rng.randrange(1, len(nodes))
        mark = self._chance.mark()
        children = [node.record for node in nodes[at:]]
        private = record("PRIVATE", children, PrivateRecordUID=mark)
        listed = [each for node in nodes[at:] for each in node.listed]
        for each in listed:
            each.aside = f"{mark}, {each.aside}"
        return [*nodes[:at], Node(private, listed)]
