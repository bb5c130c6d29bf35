"""The shared thumbnails of a folder with images: ``.sh_thumbnails``, which is not listed.

    .sh_thumbnails/normal/MD5.png    128 pixels
    .sh_thumbnails/large/MD5.png     256 pixels

MD5 is that of the name of an image in the folder (freedesktop.org, Thumbnail Managing
Standard, "Shared thumbnail repositories"): as it is, as it stands in a URI, as Thunar has
it, or as that with ``./`` in front, as the standard has it now. A picture is painted when
it is looked up.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Literal
from urllib.parse import quote

from dicomfs.pictures.wire import Form
from dicomfs.source.source import BytesSource, Source
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.node import Fixed, FolderNode, Made, Node, Said
from dicomfs.tree.selection import Instance

FOLDER: Final = ".sh_thumbnails"

_SIZES: Final = {"normal": Form.NORMAL, "large": Form.LARGE}
_EXTENSION: Final = ".png"
# What GLib leaves as it is in a path, besides letters and digits.
_OF_URIS: Final = "!$&'()*+,-.:=@_~"
# Where nodes come from that no record is the reason for.
_OWN: Final = Position(FOLDER.encode(), 0)
_NOTHING: Final[Mapping[str, Node]] = MappingProxyType({})

# Returns the picture of an instance, which may take long; see ``Gallery.picture``.
Paint = Callable[[Instance, Form], bytes]


@dataclass(slots=True, eq=False)
class Repository(Fixed):
    """The folder in a series that has its shelves; made anew each time it is looked up."""

    def is_same(self, other: object) -> bool:
        """Whether *other* is the repository of the same series."""
        return (
            isinstance(other, Repository)
            and self.parent is not None
            and self.parent.is_same(other.parent)
        )


def repository(series: FolderNode, paint: Paint) -> Repository:
    """Return the repository for *series*, whose pictures *paint* gives."""
    number = inode(_OWN, FOLDER, series.inode)
    made = Repository(number, FOLDER, series, series.mtime_ns)
    made.entries.update(
        {name: Shelf(made, name, form, series, paint) for name, form in _SIZES.items()}
    )
    return made


@dataclass(slots=True, eq=False)
class Shelf:
    """The pictures of one *form* of the images of *series*; none is listed."""

    is_folder: ClassVar[Literal[True]] = True
    is_searched: ClassVar[bool] = True
    has_images: ClassVar[bool] = False
    hidden: ClassVar[Mapping[str, Node]] = _NOTHING

    parent: Repository
    name: str
    form: Form
    series: FolderNode
    paint: Paint
    _named: tuple[object, Mapping[str, str]] = (None, MappingProxyType({}))

    @property
    def inode(self) -> int:
        """The number of the node, the same on every mount."""
        return inode(_OWN, self.name, self.parent.inode)

    @property
    def mtime_ns(self) -> int:
        """The time of the series."""
        return self.series.mtime_ns

    @property
    def attributes(self) -> Said:
        """What the records of the folders above say."""
        return self.series.attributes

    def is_same(self, other: object) -> bool:
        """Whether *other* is the same shelf."""
        return (
            isinstance(other, Shelf)
            and other.form is self.form
            and other.series.is_same(self.series)
        )

    def children(self) -> Mapping[str, Node]:
        """Return nothing, as nothing is listed."""
        return _NOTHING

    def children_cached(self) -> Mapping[str, Node]:
        """Return nothing, as nothing is listed."""
        return _NOTHING

    def image(self, name: str) -> Instance | None:
        """Return the image whose picture is called *name*; raises OSError.

        That may take long, if the series is not listed yet.
        """
        listing = self.series.children()
        if self._named[0] is not listing:
            # Of a large series there are names in memory, and nodes when they are wanted.
            self._named = (
                listing,
                {name: each for each in listing for name in _names_of(each)},
            )
        image = listing.get(self._named[1].get(name, ""))
        return image if isinstance(image, Instance) else None

    def lookup(self, name: str) -> "Picture | None":
        """Return the picture called *name*, None if there is none; raises OSError."""
        image = self.image(name)
        if image is None:
            return None
        return self.picture(name, image, self.paint(image, self.form))

    def picture(self, name: str, image: Instance, painted: bytes) -> "Picture | None":
        """Return the *painted* picture of *image* as a file, None if it is empty."""
        if not painted:
            return None
        number, when = inode(_OWN, name, self.inode), image.mtime_ns
        size = len(painted)
        return Picture(number, name, self, when, image, self.form, self.paint, size)

    def forget(self) -> None:
        """Give up what is kept."""
        self._named = None, MappingProxyType({})


@dataclass(slots=True, eq=False)
class Picture(Made):
    """The picture of *image* that *paint* gives, of *size* bytes."""

    image: Instance
    form: Form
    paint: Paint
    size: int

    @property
    def attributes(self) -> Said:
        """What the records say of the image, and of the folders above."""
        return self.image.attributes

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        return self.image.identity, self.form

    def is_same(self, other: object) -> bool:
        """Whether *other* is the same picture."""
        return (
            isinstance(other, Picture)
            and other.form is self.form
            and other.image.is_same(self.image)
        )

    def open(self) -> Source:
        """Return the bytes; raises OSError."""
        painted = self.paint(self.image, self.form)
        if len(painted) != self.size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return BytesSource(painted, self.mtime_ns)


def _names_of(name: str) -> set[str]:
    """Return what the picture of the image called *name* may be called."""
    in_uri = quote(os.fsencode(name), safe=_OF_URIS)
    return {_digest(each) for each in (name, in_uri, f"./{in_uri}")}


def _digest(name: str) -> str:
    digest = hashlib.md5(os.fsencode(name), usedforsecurity=False)
    return digest.hexdigest() + _EXTENSION
