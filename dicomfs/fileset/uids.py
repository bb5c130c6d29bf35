"""The SOP Instance UIDs that files themselves say they have."""

from collections.abc import Callable

from dicomfs.dicom.header import read_header, sop_instance_uid
from dicomfs.errors import DicomfsError, FileIdError
from dicomfs.media.medium import Medium, Place


def read_uid(medium: Medium, place: Place) -> bytes:
    """Return what the file at *place* says is its UID, empty if it says nothing."""
    try:
        source = medium.open(place)
    except (OSError, FileIdError):
        return b""
    try:
        header = read_header(source)
    except (OSError, DicomfsError):
        return b""
    finally:
        source.close()
    # A directory has none but that in front of its data set.
    return sop_instance_uid(header)


class Uids:
    """What files of *medium* say, each asked once, and *most* of them, as each takes a seek.

    *on_end* hears that others were asked for.
    """

    def __init__(self, medium: Medium, most: int, on_end: Callable[[], None]) -> None:
        self._medium = medium
        self._most = most
        self._on_end = on_end
        self._known: dict[Place, bytes] = {}

    def of(self, place: Place) -> bytes:
        """Return the UID of the file at *place*, empty if it is not known."""
        if place not in self._known:
            if len(self._known) >= self._most:
                self._on_end()
                return b""
            self._known[place] = read_uid(self._medium, place)
        return self._known[place]
