"""What a scan sees of one file: what it is, and what its header says."""

import errno
from contextlib import closing
from typing import Any, Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.attributes import Attributes, as_text, of_text
from dicomfs.dicom.header import read_header, sop_class_uid
from dicomfs.dicom.types import IMAGE, is_private_class, type_of_class
from dicomfs.dicom.uids import DIRECTORY
from dicomfs.dicomdir.writer import SIZE, TITLES
from dicomfs.errors import (
    CutOffError,
    DicomfsError,
    FileIdError,
    MethodError,
    PasswordError,
)
from dicomfs.findings import Kind
from dicomfs.media.foreign import packed_instance
from dicomfs.media.medium import Medium, Place, Status
from dicomfs.source.source import Source

# Files of an archive that somebody has the key to, or a program for.
Locked = PasswordError | MethodError

# What the process beside this one is asked to do; see ``aside``.
JOB: Final = "head"

# In so many bytes Media Storage SOP Class UID stands, even where the header is damaged.
_BEGINNING: Final = 512
_PREFIX: Final = slice(128, 132)

# A file that has none of these is not an instance, or says nothing about itself.
_TELLING: Final = (
    *tags.NAMING,
    tags.SOP_CLASS_UID,
    tags.SOP_INSTANCE_UID,
)
_DIRECTORY_GROUP: Final = (tags.FILE_SET_ID, tags.OFFSET_OF_FIRST_ROOT_RECORD)


class Glance(NamedTuple):
    """A name on the medium, and what it turned out to be; an instance has a *header*."""

    name: bytes
    is_file: bool
    trouble: Kind | None = None
    header: Attributes | None = None
    mtime_ns: int = 0
    locked: Locked | None = None


def look_at(
    medium: Medium, folder: Place, name: bytes, status: Status | OSError
) -> Glance:
    """Return what is seen of the file called *name* in *folder*, listed with a *status*."""
    # The beginning of a file that was cut off may say what it is.
    if isinstance(status, OSError) and not isinstance(status, CutOffError):
        # Links, devices and pipes; they are not opened.
        if status.errno == errno.EINVAL:
            return Glance(name, is_file=False)
        return unread(name, status)
    try:
        source = medium.open((*folder, name))
    except (OSError, FileIdError) as error:
        return unread(name, error)
    with closing(source):
        header, trouble = _header(source)
    if isinstance(status, OSError):
        # If it says so little, nobody else will say that it is there.
        trouble = Kind.FILE_CUT_OFF if header is None else trouble
        status = source.status
    return Glance(name, True, trouble, header, status.mtime_ns)


def unread(name: bytes, error: Exception) -> Glance:
    """Return what is seen of a file that cannot be read."""
    locked = error if isinstance(error, Locked) else None
    return Glance(name, is_file=True, trouble=Kind.UNREADABLE_FILE, locked=locked)


def _header(source: Source) -> tuple[Attributes | None, Kind | None]:
    """Return the header of the instance in *source*, and what is wrong with the file.

    The header is None if it is not an instance, and empty if it cannot be read.
    """
    header = Attributes({})
    trouble = Kind.HEADER_UNREADABLE
    try:
        header = read_header(source, _DIRECTORY_GROUP)
    except OSError:
        trouble = Kind.UNREADABLE_FILE
    except DicomfsError:
        pass  # no DICOM file, or one that is damaged
    if any(tag in header.values for tag in _DIRECTORY_GROUP):
        return None, None
    if any(map(header.raw, _TELLING)):
        return _with_more(source, header), None
    try:
        beginning = source.read_at(0, _BEGINNING)
    except OSError:
        return None, Kind.UNREADABLE_FILE
    if beginning[_PREFIX] == b"DICM" and DIRECTORY not in beginning:
        return header, trouble
    if trouble is Kind.UNREADABLE_FILE:
        return None, trouble
    return None, _packed(source)


def _packed(source: Source) -> Kind | None:
    """Return that a file is a packed instance, None if it is not."""
    try:
        return None if packed_instance(source) is None else Kind.PACKED_INSTANCE
    except OSError:
        return Kind.UNREADABLE_FILE


def _with_more(source: Source, header: Attributes) -> Attributes:
    """Return *header*, with what else tells what an instance is and how it is called."""
    class_uid = sop_class_uid(header)
    more: tuple[int, ...] = TITLES
    if type_of_class(class_uid) == IMAGE:
        if not is_private_class(class_uid):
            return header
        more = SIZE
    try:
        return read_header(source, more)
    except (OSError, DicomfsError):
        return header


def told(source: Source) -> list[object]:
    """Return the header of the file in *source*, and what is wrong with it, in JSON."""
    header, trouble = _header(source)
    return [
        None if header is None else as_text(header),
        None if trouble is None else trouble.name,
    ]


def heard(name: bytes, said: Any, mtime_ns: int) -> Glance:
    """Return what another process ``told`` of a file; ValueError if that is no header."""
    try:
        header, trouble = said
        return Glance(
            name,
            True,
            None if trouble is None else Kind[trouble],
            None if header is None else of_text(header),
            mtime_ns,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("no header") from error
