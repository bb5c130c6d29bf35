"""Any bytes as text in any character set, and what people see of it: names and lines."""

from collections.abc import Iterator
from itertools import product
from typing import Final

from dicomfs.dicom import tags, text
from dicomfs.dicom.attributes import Attributes
from dicomfs.dicom.patient import patient_id, patient_name
from dicomfs.errors import FileIdError
from dicomfs.fileset.fileid import components
from dicomfs.printable import printable
from dicomfs.tree import naming
from dicomfs.tree.naming import BUDGETS, EXTENSION, Name, distinct
from tests.build.filenames import faults_of, units
from tests.build.mutations import CANARY, TEXT
from tests.guided.harness import see

# What an input names by a byte; one that is none of them has a term of its own.
TERMS: Final = (
    *(b"", b"ISO_IR 100", b"ISO_IR 144", b"ISO_IR 192", b"ISO_IR 13", b"ISO_IR 166"),
    *(b"GB18030", b"GBK", b"\\ISO 2022 IR 87", b"ISO 2022 IR 6\\ISO 2022 IR 149"),
    *(b"\\ISO 2022 IR 58", b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159"),
    *(b"ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 144", b"CP1251", b"nonsense"),
)
_OWN_TERM: Final = 24
# The values that are read by themselves as well.
_LOOKED_AT: Final = 2
_VALUES: Final = (
    *(tags.PATIENT_NAME, tags.PATIENT_ID, tags.STUDY_DATE, tags.STUDY_DESCRIPTION),
    *(tags.SERIES_NUMBER, tags.MODALITY, tags.SERIES_DESCRIPTION),
    *(tags.INSTANCE_NUMBER, tags.CONTENT_LABEL, tags.STUDY_TIME),
)


WORDS: Final = (
    *(
        *TEXT,
        b"\x1b$)C",
        b"\x1b$B",
        b"\x1b(J",
        b"\x1b-A",
        b"\x1b)I",
        b"\xff\x00",
        b"^",
        b"=",
    ),
    *(
        b"NUL",
        b"COM1.",
        b"\xe2\x80\xae",
        b"\xcc\x81",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\\",
    ),
)


def run_text(data: bytes) -> None:
    """Read values in character sets, and make names of them.

    The first byte says which set is declared, the second which one those above declare;
    values follow, with a byte that none of them has between them.
    """
    own, above, data = (data + b"\0\0")[0], (data + b"\0\0")[1], data[2:]
    parts = data.split(b"\xff\x00")
    charset = TERMS[own % len(TERMS)]
    if own >= 256 - _OWN_TERM:
        charset, parts = parts[0][:_OWN_TERM], parts[1:]
    values = dict(zip(_VALUES, parts, strict=False))
    inherited = tuple(filter(None, [TERMS[above % len(TERMS)]]))
    for value in parts[:_LOOKED_AT]:
        for is_name in (False, True):
            _read(value, (charset, *inherited), is_name=is_name)
        _lead_nowhere_else(value)
    _name(Attributes({**values, tags.SPECIFIC_CHARACTER_SET: charset}, inherited))


def _read(value: bytes, sets: tuple[bytes, ...], *, is_name: bool) -> None:
    found = text.read(value, sets, is_name=is_name).text
    see("\0" not in found, "text has a NUL in it")
    see(found.isascii() or found.encode(), "text is no characters")
    shown = text.decode(value, sets, is_name=is_name)
    see(shown == found, "text depends on how it is asked for")
    line = printable(shown)
    see(len(line.splitlines()) < 2, "a line is more than one")
    see("\x1b" not in line, "a line moves the cursor")


def _lead_nowhere_else(value: bytes) -> None:
    """See that a File ID of these bytes leads to nothing outside the medium."""
    try:
        path = components(value)
    except FileIdError:
        return
    for name in path:
        see(name not in {b"", b".", b".."}, "a File ID leads out of its folder")
        see(not set(name) & {0, ord("/")}, "a component of a File ID is a path")


def _name(attributes: Attributes) -> None:
    """Make all names that there are of *attributes*, two of each."""
    stems = [
        naming.patient_name(attributes),
        naming.study_name(attributes),
        naming.series_name(attributes, attributes.text(tags.SERIES_DESCRIPTION), 3),
        naming.instance_name("SR DOCUMENT", attributes, b"1.2", 4),
        naming.other_name("PALETTE", attributes, b"1.2"),
        naming.kind(attributes.text(tags.MODALITY), attributes) or "kind",
    ]
    names = [
        Name(stem, EXTENSION * (number % 2), (b"1", b"%d" % number), mark)
        for number, (stem, mark) in enumerate(product(stems, ("", "unreadable")))
    ]
    made = distinct(names)
    faults = faults_of(made)
    see(not faults, f"names have faults: {[*faults.values()][:3]}")
    # A number in front is never cut, whatever the name is told apart by.
    most = max(BUDGETS.values())
    see(all(units(each) <= most for each in made), "a name is too long")
    attributes.time_ns(tags.STUDY_DATE, tags.STUDY_TIME)
    see("\0" not in patient_id(attributes), "an ID has a NUL in it")
    patient_name(attributes)


def text_seeds() -> Iterator[bytes]:
    """Yield values in all character sets, and what is awkward in a name."""
    words = [
        f"{CANARY}^Jürgen".encode("latin-1"),
        f"{CANARY}^José=山田^太郎=やまだ^たろう".encode(),
        f"王^小东={CANARY}".encode("gb18030"),
        "Люксембург".encode("iso8859_5"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        b"Canary^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
        *TEXT,
    ]
    for number in range(len(TERMS)):
        rest = b"\xff\x00".join(
            [words[number % len(words)], b"1", b"20230705", *words[number:][:6]]
        )
        yield bytes([number, 0]) + rest
        yield bytes([0, number]) + rest
    yield bytes([255, 0]) + b"ISO_IR 101\xff\x00" + b"\xb3\xff\x00".join(words)
