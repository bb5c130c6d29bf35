"""Any bytes as data elements, as directory records, and as the header of an instance."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from dicomfs.dicom.element import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    Syntax,
    elements,
    items,
    read_values,
)
from dicomfs.dicom.header import MAX_READ, read_header, read_meta
from dicomfs.dicomdir.models import Models
from dicomfs.dicomdir.record import DirectoryRecord, read_record
from dicomfs.errors import DicomfsError, DirectoryError, ElementError, NotDicomError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from tests.build.medium import PREFIX, instance_bytes
from tests.build.mutations import item_starts, media
from tests.guided.harness import see
from tests.support.trees import CountingSource

SYNTAXES: Final = (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE, IMPLICIT_BIG)
# What elements, items and records are made of.
WORDS: Final = (
    *(b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xff" * 4),
    *(
        b"\x04\0\0\x14UL\4\0",
        b"\x04\0\x20\x14UL\4\0",
        b"\x04\0\x30\x14CS\x08\0PATIENT ",
    ),
    *(b"\x04\0\0\x15CS", b"\x04\0\x20\x12SQ\0\0", b"\x40\0\x43\xa0SQ\0\0", b"\xff\xff"),
    *(b"\x02\0\x10\0UI\x14\0", b"1.2.840.10008.1.2.1.99", b"UN\0\0", b"OB\0\0", b"SQ"),
)
# Small, so that values lie across the end of what is in sight.
_WINDOW: Final = 64
_MOST_RECORDS: Final = 2
_MOST_ELEMENTS: Final = 300
# A record is read once, and where it is malformed it is searched as well.
_MOST_READ: Final = 64
LONGEST: Final = 256


# -- elements --------------------------------------------------------------------------


def read_elements(data: bytes, syntax: Syntax) -> None:
    """See that elements follow each other."""
    found = islice(elements(_window(data), 0, len(data), syntax), _MOST_ELEMENTS)
    starts = [each.start for each in found]
    see(starts == sorted(set(starts)), "elements do not follow each other")


def read_wanted(data: bytes, syntax: Syntax) -> None:
    """See that no value is longer than was asked for."""
    wanted = {0x00041400: 4, 0x00041430: 16, 0x0040A043: 99, 0x00100010: 20}
    values: dict[int, bytes] = {}
    read_values(_window(data), 0, len(data), syntax, wanted, values)
    see(
        all(len(value) <= wanted[tag] for tag, value in values.items()),
        "a value is longer than was asked for",
    )


def read_items(data: bytes, syntax: Syntax) -> None:
    """See that items end within what they are in."""
    found = list(islice(items(_window(data), 0, len(data), syntax), _MOST_ELEMENTS))
    see(all(start <= end <= len(data) for start, end in found), "an item has no end")


def _window(data: bytes) -> Window:
    return Window(BytesSource(data), _WINDOW)


def run_elements(data: bytes) -> None:
    """Read *data* as elements; the first byte says which transfer syntax it is."""
    syntax, data = SYNTAXES[data[0] % len(SYNTAXES) if data else 0], data[1:]
    for read in (read_elements, read_wanted, read_items):
        with suppress(ElementError):
            read(data, syntax)


# -- records ---------------------------------------------------------------------------


def run_records(data: bytes) -> None:
    """Read *data* as records wherever an item begins, each of them twice.

    The first byte says which transfer syntax it is.
    """
    syntax, data = SYNTAXES[data[0] % len(SYNTAXES) if data else 0], data[1:]
    starts = item_starts(data)[:_MOST_RECORDS]
    models = Models(syntax, len(data))
    source = CountingSource(data)
    window = Window(source)
    for offset in starts:
        found = _read(models, window, offset)
        alone = _read_alone(data, offset, syntax)
        see(found == alone, "a record depends on those that were read before")
    most = _MOST_READ * (len(data) + 1)
    see(source.bytes_read <= most, "reading records takes more than there is")


def _read(models: Models, window: Window, offset: int) -> DirectoryRecord | str:
    try:
        found = models.read(window, offset)
    except DirectoryError as error:
        return str(error)
    see(found.offset == offset, "a record is not where it was read")
    see(min(found.next, found.lower, found.mrdr) >= 0, "a link leads before the file")
    return found


def _read_alone(data: bytes, offset: int, syntax: Syntax) -> DirectoryRecord | str:
    try:
        return read_record(Window(BytesSource(data)), offset, syntax, len(data))
    except DirectoryError as error:
        return str(error)


def record_seeds() -> Iterator[bytes]:
    """Yield records of sound media, in all transfer syntaxes."""
    for number, medium in enumerate(media()):
        data = medium.dicomdir
        starts = item_starts(data)
        for first in starts[:: max(len(starts) // 4, 1)]:
            yield bytes([number % 4]) + data[first : first + LONGEST - 1]


# -- headers ---------------------------------------------------------------------------


def run_headers(data: bytes) -> None:
    """Read *data* as the header of an instance, behind a preamble or without one."""
    head, data = (PREFIX if data[:1] == b"\1" else b""), data[1:]
    source = CountingSource(head + data)
    with suppress(DicomfsError):
        read_header(source)
    see(source.bytes_read <= MAX_READ, "a header takes more reading than may be")
    window = Window(BytesSource(head + data), _WINDOW)
    with suppress(NotDicomError, ElementError):
        start = read_meta(window).start
        see(start <= len(head) + len(data), "the data set begins behind the file")


def header_seeds() -> Iterator[bytes]:
    """Yield the beginnings of sound instances."""
    for data in (instance_bytes(), *_instances()):
        is_usual = data.startswith(PREFIX)
        yield bytes([is_usual]) + data[len(PREFIX) * is_usual :][: LONGEST - 1]


def _instances() -> Iterator[bytes]:
    for medium in media():
        yield from islice(medium.files.values(), 3)
