"""The records of files, and what else claims to be the same instance."""

from dataclasses import replace
from typing import NamedTuple

from scripts.randommedia.chance import Chance
from scripts.randommedia.truth import SERIES, Listed
from scripts.randommedia.world import Series, Shot, Study, content
from tests.build.medium import INACTIVE, OMIT, Record, instance_bytes, leaf

_STYLES = ("DICOM/S{:04}/I{:06}", "IM{:02}{:04}", "IMAGES/{:X}A{:X}")
_COMMENTS = {"other": "as it is.", "longer": "more than that", "number": "another"}


class Node(NamedTuple):
    """A record, and the files that it and those below it list."""

    record: Record
    listed: list[Listed]


class Instances:
    """Makes the records of files, some of which are missing.

    Their names are in lower case if it *is_lower*.
    """

    def __init__(self, chance: Chance, *, is_lower: bool) -> None:
        self._chance = chance
        self._rng = chance.rng
        self._is_lower = is_lower
        self._style = self._rng.choice(_STYLES)
        self._missing = self._rng.choice((0, 0, 0, 0.1, 0.5))

    def of(self, of: Study, own: Series, shot: Shot) -> list[Node]:
        """Return the record of an instance, and what else claims to be that instance."""
        node = self._leaf(shot, content(of, own, shot))
        if self._chance.rarely() and node.listed[0].data is not None:
            self._add_private_file(of, own, node)
        if not self._chance.rarely() or not shot.uid_is_listed:
            return [node]
        first = node.listed[0]
        twin = self._rng.choice(("the same", "other", "longer", "number", "again"))
        if twin == "again":
            # Two names of what is not there may be names of two files.
            names = (first.place, first.place.lower() if first.data else first.place)
            file_id = self._rng.choice(names)
            again = self._leaf(shot, first.data, file_id, first.place)
            return [node, again]
        number = 99 if twin == "number" else shot.number
        data = content(of, own, shot, _COMMENTS.get(twin, "as it was"))
        return [node, self._leaf(replace(shot, number=number), data)]

    def _leaf(
        self, shot: Shot, data: bytes | None, file_id: str = "", place: str = ""
    ) -> Node:
        """Return the record of a file, which may be missing; at *place* if given."""
        uid = shot.uid if shot.uid_is_listed else ""
        if not file_id:
            file_id = place = self._place()
            if self._rng.random() < self._missing:
                data = None
        number = (
            shot.number if shot.number is not None else self._rng.choice((OMIT, None))
        )
        made = leaf(
            shot.record_type,
            uid or OMIT,
            number=number,
            file=file_id,
            content=data,
            path=None if data is None else self._name(place),
        )
        listed = Listed(self._chance.disc, place, data, uid, [None, None, None])
        return Node(made, [listed])

    def _add_private_file(self, of: Study, own: Series, node: Node) -> None:
        """Let an instance have a private record below it that has a file, too."""
        uid = self._chance.mark()
        shot = Shot("PRIVATE", uid, 1, True, None)
        private = self._leaf(shot, content(of, own, shot))
        private.record["PrivateRecordUID"] = "2.25.9"
        private.listed[0].aside = f"below {uid}"
        node.record.children.append(private.record)
        node.listed.extend(private.listed)

    def list_elsewhere(self, nodes: list[Node]) -> None:
        """List a file of one series in another one, too, of the same study."""
        nodes = [node for node in nodes if node.listed]
        if len(nodes) < 2 or not self._chance.rarely(2):
            return
        here, there = self._rng.sample(nodes, 2)
        found, other = here.listed[0], there.listed[0]
        if not found.uid or found.folders[SERIES] == other.folders[SERIES]:
            return
        shot = Shot("IMAGE", found.uid, 77, True, None)
        again = self._leaf(shot, found.data, found.place, found.place)
        again.listed[0].folders[SERIES] = other.folders[SERIES]
        there.record.children.append(again.record)
        there.listed.extend(again.listed)

    def listing_nothing(self) -> list[Node]:
        """Return records that list no file: inactive ones, and some without any."""
        found = []
        if self._chance.rarely():
            shot = Shot("IMAGE", self._chance.mark(), 1, True, None)
            hidden = self._leaf(shot, instance_bytes({"SOPInstanceUID": shot.uid}))
            hidden.record.in_use = INACTIVE
            found.append(Node(hidden.record, []))
        if self._chance.rarely():
            found.append(Node(leaf("IMAGE", self._chance.mark(), file=OMIT), []))
        return found

    def _place(self) -> str:
        number = self._chance.number()
        return self._style.format(number // 20, number)

    def _name(self, place: str) -> str:
        return place.lower() if self._is_lower else place

    def in_root(self) -> list[Node]:
        """Return records of no patient, which are rare."""
        if not self._chance.rarely(2):
            return []
        shot = Shot("HANGING PROTOCOL", self._chance.mark(), 1, True, None)
        data = instance_bytes({"SOPInstanceUID": shot.uid}, size=None)
        node = self._leaf(shot, data)
        node.listed[0].aside = "Other"
        return [node]
