"""A document that an instance holds, as a file beside it."""

import errno
from collections.abc import Hashable
from dataclasses import dataclass

from dicomfs.documents.reading import Reader
from dicomfs.errors import DicomfsError
from dicomfs.extras.looking import read_in
from dicomfs.source.source import Source, Wrapper
from dicomfs.tree.node import Made, Said
from dicomfs.tree.selection import Instance


@dataclass(slots=True, eq=False)
class Document(Made):
    """What *read* finds in the file of *instance*: the document with *extension*.

    It is a span of the bytes of the file, or a page that is made of them. Nothing of it
    is kept: it is found again where it was when somebody opens it.
    """

    instance: Instance
    read: Reader
    extension: str
    size: int

    @property
    def attributes(self) -> Said:
        """What the records say of the instance, and of the folders above."""
        return self.instance.attributes

    @property
    def identity(self) -> Hashable:
        """What stays the same whatever else is in the folder."""
        return self.instance.identity, self.extension

    def is_same(self, other: object) -> bool:
        """Whether *other* with the same inode number is the same document."""
        return (
            isinstance(other, Document)
            and other.instance.is_same(self.instance)
            and other.extension == self.extension
        )

    def open(self) -> Source:
        """Open the file, and find the document in it; raises OSError."""
        file = self.instance.open()
        try:
            document = read_in(file, self.instance, self.read)[self.extension]
        except OSError:
            file.close()
            raise
        except (DicomfsError, KeyError) as error:
            file.close()
            raise _changed() from error
        if document.size != self.size:
            file.close()
            raise _changed()
        return Opened(document, file)


class Opened(Wrapper):
    """A document, and the file that it was found in: closing it closes both."""

    def __init__(self, document: Source, file: Source) -> None:
        super().__init__(document)
        self._file = file
        self.is_prompt = file.is_prompt
        self.is_stand_in = file.is_stand_in
        self.is_renewed = file.is_renewed

    def close(self) -> None:
        """Close the document and the file."""
        super().close()
        self._file.close()


def _changed() -> OSError:
    return OSError(errno.EIO, "the document is not what was listed")
