"""The preview of a series: a picture of the image in its middle, as a file beside it."""

import errno
import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dicomfs.dicom.types import IMAGE
from dicomfs.source.source import BytesSource, Source
from dicomfs.tree import naming
from dicomfs.tree.draft import Leaf
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.naming import Name
from dicomfs.tree.node import Made
from dicomfs.tree.selection import Instance, Selection
from dicomfs.tree.whose import says_who_and_when

STEM: Final = "preview"
EXTENSION: Final = ".jpg"

# Where the file comes from that no record is the reason for.
_OWN: Final = Position(b"preview", 0)

# Returns the picture of an instance, always of the same size; raises OSError.
Paint = Callable[[Instance], bytes]


@dataclass(slots=True, eq=False)
class Preview(Made):
    """The picture that *paint* gives of *image*, of *size* bytes, made when it is opened."""

    image: Instance
    paint: Paint
    size: int

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        return self.image.parent.key, STEM

    def is_same(self, other: object) -> bool:
        """Whether *other* is the same preview."""
        return isinstance(other, Preview) and other.image.is_same(self.image)

    def open(self) -> Source:
        """Return the bytes; raises OSError."""
        try:
            picture = self.paint(self.image)
        except BlockingIOError as error:
            raise _nobody() from error
        if len(picture) != self.size:
            raise _nobody()
        return BytesSource(picture, self.mtime_ns)


class Previews:
    """Makes the previews of series, which *paint* gives with *size* bytes."""

    def __init__(self, paint: Paint, size: int) -> None:
        self._paint = paint
        self._size = size

    def made(
        self,
        folder: Selection,
        files: Iterable[tuple[Leaf, Instance]],
        taken: set[str],
    ) -> Iterator[Preview]:
        """Yield the preview of *folder*, under a name not yet *taken*, if it has images."""
        images = sorted(
            (file.name, leaf.keys, file)
            for leaf, file in files
            if _is_image(leaf, file)
        )
        if not images:
            return
        _, _, image = images[len(images) // 2]
        known = tuple(filter(None, (folder.uid, image.uid)))
        is_told = says_who_and_when(folder)
        if not (known or is_told):
            return  # there would be one of that name on other discs
        name = Name(STEM, EXTENSION, known)
        yield Preview(
            inode(_OWN, STEM, folder.inode),
            naming.beside(name, taken, 0 if is_told else 1),
            folder,
            image.mtime_ns,
            image,
            self._paint,
            self._size,
        )


def _is_image(leaf: Leaf, file: Instance) -> bool:
    """Whether a file has a picture, as far as its record tells."""
    return not file.error and leaf.record.shown_type == IMAGE


def nobody(image: Instance) -> bytes:
    """Raise OSError: nobody paints."""
    del image
    raise _nobody()


def _nobody() -> OSError:
    """Return the error of a picture that nobody can paint now."""
    return OSError(errno.EIO, os.strerror(errno.EIO))
