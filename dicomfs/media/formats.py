"""What a source of bytes is, told by its content: the one table of formats.

To add a format, write its module, an ``Archive``, and add a line here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from dicomfs.media.archive import Archive
from dicomfs.media.iso.image import Iso
from dicomfs.media.iso.image import recognises as is_iso
from dicomfs.media.tar.archive import Tar
from dicomfs.media.tar.archive import recognises as is_tar
from dicomfs.media.udf.image import Udf
from dicomfs.media.udf.image import recognises as is_udf
from dicomfs.media.zip.archive import Zip
from dicomfs.media.zip.archive import recognises as is_zip
from dicomfs.source.source import Source


class Ways(NamedTuple):
    """What opening a source may need beside its bytes.

    *session* is the sector at which the last session of a disc begins, 0 if that is not
    known; *passwords* are tried one after the other.
    """

    session: int = 0
    passwords: Sequence[bytes] = ()


class Format(NamedTuple):
    """How a format is told by a few bytes, and how it becomes a medium.

    *is_listed* says that opening it reads the names of all files: to look for one takes
    no reading.
    """

    recognises: Callable[[Source], bool]
    medium: Callable[[Source, Ways], Archive[Any]]
    is_listed: bool = False


# A disc that is both ISO 9660 and UDF mostly shows the same in either, and on some the
# former has no more than a text for old machines. A ZIP archive may begin with anything,
# and one that lies in a tar archive may end that.
FORMATS: Final = (
    Format(is_iso, lambda source, ways: Iso(source, ways.session)),
    Format(is_udf, lambda source, ways: Udf(source, ways.session)),
    Format(is_tar, lambda source, _: Tar(source), is_listed=True),
    Format(is_zip, lambda source, ways: Zip(source, ways.passwords), is_listed=True),
)


def formats_of(source: Source) -> Iterator[Format]:
    """Yield what *source* is; a bridge disc is two. Raises OSError if it is unreadable.

    The medium that one makes of it owns the source. Making it raises MediumError where
    it is damaged as a whole, and OSError where it cannot be read.
    """
    return (form for form in FORMATS if form.recognises(source))
