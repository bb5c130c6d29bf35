"""Extended attributes: what records say of a file or folder, for who asks by name.

    user.dicom.PatientID    an attribute, by its keyword in DICOM
    user.dicomfs.source     the media that it lies on
    user.dicomfs.file_id    the File ID, as the record has it
    user.dicomfs.uid        its Study, Series or SOP Instance UID
    user.dicomfs.error      why it cannot be opened

None is listed: programs that copy would ask for each, and carry patients' names along.
"""

from collections.abc import Callable, Mapping
from typing import Final

from dicomfs.dicom.keywords import BY_NAME, Keyword
from dicomfs.original.folders import File
from dicomfs.tree.node import Node
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.told import told_of

ERROR: Final = b"user.dicomfs.error"

_AND: Final = "; "
_FILE_ID: Final = BY_NAME["ReferencedFileID"]


def _error(node: Node) -> str:
    return "" if node.is_folder else node.reason


def _source(node: Node) -> str:
    return _AND.join(node.sources) if isinstance(node, Instance | Selection) else ""


def _uid(node: Node) -> str:
    return node.uid.decode("latin-1") if isinstance(node, Instance | Selection) else ""


def _told(keyword: Keyword) -> Callable[[Node], str]:
    def told(node: Node) -> str:
        value = told_of(node).value(keyword)
        return "" if value is None else str(value)

    return told


_VALUES: Final[Mapping[bytes, Callable[[Node], str]]] = {
    ERROR: _error,
    b"user.dicomfs.source": _source,
    b"user.dicomfs.file_id": _told(_FILE_ID),
    b"user.dicomfs.uid": _uid,
    **{f"user.dicom.{name}".encode(): _told(each) for name, each in BY_NAME.items()},
}
_FILE_IDS: Final = frozenset({b"user.dicomfs.file_id", b"user.dicom.ReferencedFileID"})
# What takes no reading.
_AT_HAND: Final = frozenset({ERROR, b"user.dicomfs.source", b"user.dicomfs.uid"})


def is_known(name: bytes) -> bool:
    """Whether there are nodes with an attribute of this *name*."""
    return name in _VALUES


def is_at_hand(name: bytes) -> bool:
    """Whether the attribute is in memory; others are read from the medium."""
    return name in _AT_HAND


def value(node: Node, name: bytes) -> bytes:
    """Return the attribute of *node* that has a known *name*, empty if it has none.

    A file under its File ID, of a disc in good order, has those of its instance.
    """
    if isinstance(node, File):
        told = node.file_id if name in _FILE_IDS else _VALUES[name](node.instance)
    else:
        told = _VALUES[name](node)
    return told.encode("utf-8", "surrogateescape")
