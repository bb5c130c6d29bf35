"""Nodes made of drafts: what a folder or a file in the making becomes in its folder."""

from collections.abc import Sequence
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.types import Level
from dicomfs.dicomdir.record import NO_RECORD
from dicomfs.fileset.fileset import Part
from dicomfs.tree import draft, naming
from dicomfs.tree.draft import Branch, Leaf, Role
from dicomfs.tree.headers import Headers
from dicomfs.tree.heads import Heads
from dicomfs.tree.identity import ROOT_INODE, Position, file_inode, inode
from dicomfs.tree.selection import Instance, Lister, Selection

# Where the folder comes from: it has to be the same before and after it is known.
_NOWHERE: Final = Position(naming.UNLINKED.encode(), NO_RECORD)


class Maker:
    """Makes nodes, which ask *lister* what is in them.

    *headers* tell what records lack, *heads* what files say otherwise than they do.
    """

    def __init__(self, headers: Headers, heads: Heads, lister: Lister) -> None:
        self._headers = headers
        self._heads = heads
        self._lister = lister

    def folder(self, parent: Selection, branch: Branch, name: str) -> Selection:
        """Return the folder *name* in *parent* that *branch* becomes."""
        kept = self._headers.kept(branch.file_set, branch.record)
        return Selection(
            inode=inode(branch.position, branch.role.value, parent.inode),
            name=name,
            parent=parent,
            mtime_ns=_time_ns(parent, branch, branch.header or kept),
            level=branch.level,
            parts=branch.parts,
            lister=self._lister,
            by_type=branch.role is Role.OTHER,
            origin=draft.alone(branch.file_set, branch.record, branch.attributes),
            uid=branch.uid,
            header=branch.header or kept,
        )

    def file(self, parent: Selection, leaf: Leaf, name: str) -> Instance:
        """Return the file *name* in *parent* that *leaf* becomes."""
        said = self._heads.reason(leaf.position)
        return Instance(
            inode=file_inode(parent.inode, leaf.ordinal),
            name=name,
            parent=parent,
            mtime_ns=parent.mtime_ns if leaf.error else leaf.mtime_ns,
            file_set=leaf.file_set,
            offset=leaf.record.offset,
            place=leaf.place,
            size=leaf.size,
            error=leaf.error,
            reason=leaf.reason or said,
            copies=leaf.copies,
            changed_ns=leaf.changed_ns,
            uid=leaf.uid,
            is_known=bool(said),
        )

    def unlinked(self, root: Selection, parts: Sequence[Part]) -> Selection:
        """Return the folder of what belongs nowhere."""
        return Selection(
            inode=inode(_NOWHERE, naming.UNLINKED, ROOT_INODE),
            name=naming.UNLINKED,
            parent=root,
            mtime_ns=root.mtime_ns,
            level=Level.OTHER,
            parts=parts,
            lister=self._lister,
            unlinked=True,
        )


def _time_ns(parent: Selection, branch: Branch, header: Attributes | None) -> int:
    """Return the study's or series' own time, a patient's last one, else the parent's.

    The *header* of an instance says that of a series, where its record does not.
    """
    own = None
    if branch.level is Level.PATIENT:
        own = draft.newest_ns(branch)
    elif branch.level is Level.STUDY:
        own = branch.attributes.time_ns(tags.STUDY_DATE, tags.STUDY_TIME)
    elif branch.level is Level.SERIES:
        own = branch.attributes.time_ns(tags.SERIES_DATE, tags.SERIES_TIME)
        if own is None and header is not None:
            own = header.time_ns(tags.SERIES_DATE, tags.SERIES_TIME)
    return _inherited(parent) if own is None else own


def _inherited(parent: Selection) -> int:
    """Return the time of what has none; the newest study's is not that of others."""
    above = parent.parent
    is_newest = parent.level is Level.PATIENT and above is not None
    return above.mtime_ns if above is not None and is_newest else parent.mtime_ns
