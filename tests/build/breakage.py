"""The breakage catalogue: how media are broken, and what is to be found on them.

`ENTRIES` lists by number what goes wrong with real media. Each `Case` makes a medium
with one such breakage, or a few, and says what a reader should find on it.

A medium is built from records in their true places, and the headers of its instances
agree with those, unless the case is about headers that do not; then links, lengths or
bytes are made wrong. So the truth about each instance is known: if the case says no
more, it has to be in the folder of its own patient, study and series, byte for byte.
"""

import errno
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, Unpack

from pydicom import uid
from pydicom.datadict import tag_for_keyword

from dicomfs.errors import Problem
from dicomfs.findings import Kind
from tests.build.medium import (
    INACTIVE,
    NO_RECORD,
    OMIT,
    UNDEFINED_LENGTH,
    Items,
    Layout,
    LinkHook,
    Options,
    Raw,
    Record,
    Value,
    Written,
    breadth_first,
    build_dicomdir,
    build_layout,
    depth_first,
    element_bytes,
    icon,
    image,
    instance_bytes,
    leaf,
    patient,
    record,
    series,
    study,
    write_medium,
)

ENTRIES: Final[Mapping[int, str]] = {
    # Offsets and links
    1: "all offsets but the first shifted by a constant",
    2: "offsets that drift, by one growth after the other",
    3: "offsets that count from elsewhere, or lead inside an item",
    4: "the first offset wrong, zero, empty or absent",
    5: "the last offset wrong",
    6: "link elements missing, where zero or everywhere",
    7: "a chain that ends early, or leads to no record",
    8: "loops",
    9: "a record with two parents",
    10: "records in any order",
    11: "records nested very deeply",
    12: "in-use flags",
    13: "multi-referenced records, and retired types",
    # The content of records
    14: "PRIVATE without its UID",
    15: "types unknown, misspelt or missing",
    16: "levels missing, or no records at all",
    17: "keys missing or empty",
    18: "descriptions missing",
    19: "text unfit for file names",
    20: "identifiers that are not unique",
    21: "records and files that disagree",
    22: "files that no record lists, or several",
    23: "siblings that are not sorted",
    24: "icons, large or odd",
    25: "nested sequences, heavy or private",
    26: "keys of other types",
    # File IDs and the medium
    27: "small letters",
    28: "trailing dots and versions",
    29: "extensions, more or less",
    30: "separators, drives, absolute paths",
    31: "paths that lead out",
    32: "File IDs too long, or of other characters",
    33: "File IDs of another value representation",
    34: "files missing",
    35: "File-sets that were moved",
    36: "a DICOMDIR of another name, or in another place",
    37: "several DICOMDIRs",
    38: "a DICOMDIR that lists itself",
    39: "media that cannot be read",
    40: "executables, and archives with passwords",
    # The encoding of the DICOMDIR
    41: "other transfer syntaxes",
    42: "other transfer syntaxes than declared",
    43: "preamble or File Meta Information missing or damaged",
    44: "a wrong SOP class",
    45: "no sequence of records",
    46: "lengths undefined or wrong, padding, files cut off",
    47: "elements out of order",
    48: "group lengths, and low private groups",
    49: "character sets missing, wrong or unknown",
    50: "no DICOM at all: encrypted, empty, text",
    51: "very large ones",
}
# Reading errors take a drive that has them (test_bad_sectors.py) or bytes that do
# (test_unreadable_index.py); the other half of
# entry 40 has to wait for media in archives.
ELSEWHERE: Final = frozenset({39})

ANYTHING: Final = "*"
"""A folder name that is not looked at."""
ANYWHERE: Final = ("**",)
"""A folder that is not looked at."""


# Of a name that was told apart from others.
_SUFFIX: Final = re.compile(r" \[[0-9a-f]{8}\]$")


class Fate(Enum):
    """Where an instance is to be found."""

    PLACED = "in the folder of its patient, study and series"
    UNLINKED = "below Unlinked"
    EITHER = "in its own folder, or below Unlinked"
    OPTIONAL = "in its own folder, below Unlinked, or nowhere"
    LOST = "nowhere"


class Usual:
    """A sound medium: two patients, three studies, four series, ten images."""

    def __init__(self) -> None:
        self.lung = series("1.2.1.1", _images("1.2.1.1", 3), description="Lung")
        bones = _images("1.2.1.2", 2)
        self.bone = series("1.2.1.2", bones, number=2, description="Bone")
        self.skull = series("1.2.2.1", _images("1.2.2.1", 3), description="Skull")
        self.left = series("1.2.3.1", _images("1.2.3.1", 2), description="Left")
        self.thorax = study("1.2.1", [self.lung, self.bone], description="Thorax")
        self.head = study("1.2.2", [self.skull], date="20240118", description="Head")
        self.knee = study("1.2.3", [self.left], date="20240203", description="Knee")
        self.jane = patient("Doe^Jane", "4711", [self.thorax, self.head])
        self.richard = patient("Roe^Richard", "4712", [self.knee])
        self.roots = [self.jane, self.richard]

    @property
    def records(self) -> list[Record]:
        """All records, depth first."""
        return depth_first(self.roots)

    @property
    def images(self) -> list[Record]:
        """All images."""
        return [each for each in self.records if each.record_type == "IMAGE"]

    def offset(self, each: Record) -> int:
        """Return where a record lies while everything else is sound."""
        return build_layout(self.roots).offsets[each]


class Broken(Usual):
    """The usual medium on its way to be broken, and what is to be found on it then.

    *damage* makes what is left of the DICOMDIR, *arrange* changes the files beside it.
    """

    def __init__(self, kinds: Sequence[Kind] = ()) -> None:
        super().__init__()
        self.options = Options()
        self.dicomdir = "DICOMDIR"
        self.folder = ""
        self.rename: Callable[[str], str] = str
        self.damage: Callable[[Layout], bytes] | None = None
        self.arrange: Callable[[Path], None] | None = None
        # Instances that are not simply in their places. A record stands for its own
        # instance and for those of all records below it; this holds further down too.
        self.unlinked: Sequence[Record] = ()
        self.either: Sequence[Record] = ()
        self.optional: Sequence[Record] = ()
        self.lost: Sequence[Record] = ()
        # Names of folders, where they are not plain; or the whole folder of an instance.
        self.names: dict[Record, str] = {}
        self.places: dict[Record, Names] = {}
        # What is listed, but opening it gives this error.
        self.errors: dict[Record, int] = {}
        # Instances whose headers do not say where they belong, or say it wrongly.
        self.silent: Sequence[Record] = ()
        # What the report has to have; or why there is no tree, and so no report.
        self.kinds = kinds
        self.failure: Problem | None = None
        self.says = ""

    def silence(self) -> None:
        """Let no header say to whom and to what its instance belongs."""
        for each in self.images:
            each.say(PatientName=OMIT, **dict.fromkeys(_ORIGIN, OMIT))
        self.silent = self.roots

    def scramble(self) -> None:
        """Let no instance be DICOM."""
        for number, each in enumerate(self.images):
            each.content = b"not in DICOM format: %d" % number * 20
        self.silent = self.roots
        self.kinds = (*self.kinds, Kind.NOT_DICOM)


_ORIGIN: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")


def _images(series_uid: str, count: int) -> list[Record]:
    folder = series_uid.replace(".", "")
    return [
        image(f"{series_uid}.{n}", number=n, file=f"DICOM/S{folder}/IM{n:06}")
        for n in range(1, count + 1)
    ]


Names = tuple[str, ...]


class Instance(NamedTuple):
    """An instance of a medium that was written: where it is to be found.

    *origin* has what its records say: Patient ID, Study and Series Instance UID, each
    empty if none does. *speaks* tells whether its header says where it belongs.
    """

    path: Path
    data: bytes
    fate: Fate
    folder: Names
    origin: Names
    speaks: bool

    def belongs_in(self, folder: Names) -> bool:
        """Whether *folder* is its own, as far as the names of that are known."""
        if self.folder == ANYWHERE:
            return True
        return len(folder) == len(self.folder) and all(
            expected in (_SUFFIX.sub("", name), ANYTHING)
            for name, expected in zip(folder, self.folder, strict=True)
        )

    def is_right_in(self, folders: Sequence[Names]) -> bool:
        """Whether all is well if it is found in *folders*, and nowhere else."""
        is_placed = any(map(self.belongs_in, folders))
        is_set_apart = any(map(is_unlinked, folders))
        match self.fate:
            case Fate.PLACED:
                return is_placed and not is_set_apart
            case Fate.UNLINKED:
                return is_set_apart
            case Fate.EITHER:
                return is_placed or is_set_apart
            case Fate.OPTIONAL:
                return is_placed or is_set_apart or not folders
            case Fate.LOST:
                return not folders


def is_unlinked(folder: Names) -> bool:
    """Whether *folder* is for what belongs nowhere."""
    return folder[:1] == ("Unlinked",)


class Medium(NamedTuple):
    """A broken medium that was written.

    *errors* has the folder of each entry that cannot be opened, and the error.
    """

    broken: Broken
    instances: list[Instance]
    errors: list[tuple[Names, int]]

    @property
    def to_find(self) -> set[Path]:
        """The files that have to be found."""
        optional = (Fate.LOST, Fate.OPTIONAL)
        return {each.path for each in self.instances if each.fate not in optional}


class Case(NamedTuple):
    """A breakage: the entries that it is about, what is reported, how it is made."""

    name: str
    entries: tuple[int, ...]
    kinds: tuple[Kind, ...]
    make: Callable[[Broken], None]

    def broken(self) -> Broken:
        """Return the medium, not yet written."""
        broken = Broken(self.kinds)
        self.make(broken)
        return broken

    def write(self, root: Path) -> Medium:
        """Write the medium to the folder *root*."""
        broken = self.broken()
        written = write_medium(
            root / broken.folder,
            broken.roots,
            dicomdir=broken.dicomdir,
            rename=broken.rename,
            damage=broken.damage,
            **broken.options,
        )
        if broken.arrange is not None:
            broken.arrange(root)
        return _described(broken, written)


CASES: Final[dict[str, Case]] = {}


def _described(broken: Broken, written: Written) -> Medium:
    lines = _lines([*broken.roots, *broken.options.get("unlinked", ())])
    fates = dict(_fates(broken))
    silent = set(depth_first(broken.silent))
    instances = [
        Instance(
            path,
            path.read_bytes(),
            fates.get(each, Fate.PLACED),
            _folder(broken, lines[each]),
            tuple(_said(lines[each], keyword) for keyword in _ORIGIN),
            each not in silent,
        )
        for each, path in written.files.items()
    ]
    errors = [
        (_folder(broken, lines[each]), number) for each, number in broken.errors.items()
    ]
    return Medium(broken, instances, errors)


def _fates(broken: Broken) -> Iterator[tuple[Record, Fate]]:
    for records, fate in (
        (broken.unlinked, Fate.UNLINKED),
        (broken.either, Fate.EITHER),
        (broken.optional, Fate.OPTIONAL),
        (broken.lost, Fate.LOST),
    ):
        yield from ((each, fate) for each in depth_first(records))


def _lines(roots: Iterable[Record]) -> dict[Record, list[Record]]:
    """Return for each record those that lie above it, from the root, and itself."""
    lines = {each: [each] for each in roots}
    for each in depth_first(lines):
        for child in each.children:
            lines[child] = [*lines[each], child]
    return lines


def _folder(broken: Broken, line: Sequence[Record]) -> Names:
    """Return the folder where the last record of *line* is to be found."""
    if line[-1] in broken.places:
        return broken.places[line[-1]]
    return tuple(broken.names.get(each) or _plain_name(each) for each in line[:-1])


def _said(line: Sequence[Record], keyword: str) -> str:
    """Return what the lowest of those records of *line* says that have an element."""
    tag = tag_for_keyword(keyword)
    values = [each.attributes[tag] for each in line if tag in each.attributes]
    return values[-1] if values and isinstance(values[-1], str) else ""


def _plain_name(each: Record) -> str:
    """Return the name of a folder whose record has all that it should have."""
    if each.record_type == "PATIENT":
        family, _, given = _text(each, "PatientName").partition("^")
        return f"{family}, {given} ({_text(each, 'PatientID')})"
    if each.record_type == "STUDY":
        date, about = _text(each, "StudyDate"), _text(each, "StudyDescription")
        return f"{date[:4]}-{date[4:6]}-{date[6:]} {about}"
    if each.record_type == "SERIES":
        number, modality = int(_text(each, "SeriesNumber")), _text(each, "Modality")
        return f"{number:03} {modality} {_text(each, 'SeriesDescription')}"
    return ANYTHING


def _text(each: Record, keyword: str) -> str:
    value = each[keyword]
    if not isinstance(value, str | int):
        raise TypeError(f"its folder needs a name: {keyword} is {value!r}")
    return str(value)


def _case(
    name: str, *about: int | Kind
) -> Callable[[Callable[[Broken], None]], Callable[[Broken], None]]:
    """Add a case to the catalogue, *about* these entries and with these findings."""
    entries = tuple(each for each in about if isinstance(each, int))
    kinds = tuple(each for each in about if isinstance(each, Kind))

    def add(make: Callable[[Broken], None]) -> Callable[[Broken], None]:
        assert name not in CASES
        CASES[name] = Case(name, entries, kinds, make)
        return make

    return add


JANE: Final = "Doe, Jane (4711)"
RICHARD: Final = "Roe, Richard (4712)"
THORAX: Final = "2023-07-05 Thorax"
LUNG: Final = "001 CT Lung"


@_case("sound")
def _sound(it: Broken) -> None:
    """Leave it as it is."""
    del it


# -- links that are all wrong ----------------------------------------------------------


def _moved(distance: int) -> LinkHook:
    """Return what moves each link by *distance*."""

    def links(_record: Record, following: int, lower: int) -> tuple[Value, Value]:
        return following and following + distance, lower and lower + distance

    return links


def _links_of(layout: Layout, other: Layout) -> LinkHook:
    """Return what writes the links that the same records have in the *other* layout."""
    before = dict(zip(layout.offsets.values(), other.offsets.values(), strict=True))

    def links(_record: Record, following: int, lower: int) -> tuple[Value, Value]:
        return before.get(following, NO_RECORD), before.get(lower, NO_RECORD)

    return links


def _no_links(_record: Record, _following: int, _lower: int) -> tuple[Value, Value]:
    return NO_RECORD, NO_RECORD


def _absent_links(_record: Record, _following: int, _lower: int) -> tuple[Value, Value]:
    return OMIT, OMIT


def _links_where_needed(
    _record: Record, following: int, lower: int
) -> tuple[Value, Value]:
    return following or OMIT, lower or OMIT


_FILE_SET_ID: Final = b"\x04\0\x30\x11CS"
_DISTANCES: Final = {
    "22-too-small": (1, -22),
    "22-too-large": (1, 22),
    "7-too-small": (1, -7),
    "into-the-item": (3, 8),
    "counted-from-behind-the-prefix": (3, -132),
    "counted-from-the-data-set": (3, -build_dicomdir([]).index(_FILE_SET_ID)),
}

for _name, (_entry, _distance) in _DISTANCES.items():

    @_case(f"shifted-{_name}", _entry, Kind.LINKS_SHIFTED)
    def _(it: Broken, distance: int = _distance) -> None:
        it.options["links"] = _moved(distance)

    @_case(f"shifted-{_name}-the-first-too", _entry, Kind.LINKS_SHIFTED)
    def _(it: Broken, distance: int = _distance) -> None:
        it.options["links"] = _moved(distance)
        it.options["first"] = it.offset(it.jane) + distance


@_case("shifted-and-headers-unreadable", 1, Kind.LINKS_SHIFTED)
def _(it: Broken) -> None:
    # One distance for all leaves no doubt: no header is needed.
    it.options["links"] = _moved(-22)
    it.scramble()


@_case("shifted-and-one-link-bogus", 1, 7, Kind.LINKS_UNUSABLE)
def _(it: Broken) -> None:
    it.options["links"] = _moved(-22)
    it.lung.children[0].next = 77


@_case(
    "shifted-and-cut-off",
    1,
    46,
    Kind.LINKS_SHIFTED,
    Kind.INDEX_CUT_OFF,
    Kind.UNLISTED_INSTANCE,
)
def _(it: Broken) -> None:
    last = it.left.children[-1]
    it.options["links"] = _moved(-22)
    it.damage = lambda layout: layout.data[: layout.offsets[last] + 40]
    it.lost = [last]


# Names that have more bytes than letters.
_LONGER_JANE: Final = "Doeéèêëàâäöüç^Jane"
_LONGER_RICHARD: Final = "Røæåø^Richard"


def _let_drift(it: Broken) -> None:
    """Let the links be those from before the names were encoded, one byte a letter."""
    before = Usual()
    before.jane["PatientName"] = _LONGER_JANE.encode("latin-1")
    before.richard["PatientName"] = _LONGER_RICHARD.encode("latin-1")
    it.jane["PatientName"] = _LONGER_JANE.encode()
    it.richard["PatientName"] = _LONGER_RICHARD.encode()
    layouts = [build_layout(each.roots, **it.options) for each in (it, before)]
    it.options["links"] = _links_of(*layouts)
    it.names[it.jane] = "Doeéèêëàâäöüç, Jane (4711)"
    it.names[it.richard] = "Røæåø, Richard (4712)"


_DRIFTED: Final = (Kind.LINKS_DRIFTED, Kind.CHARACTER_SET)


@_case("drifted", 2, *_DRIFTED)
def _(it: Broken) -> None:
    _let_drift(it)


@_case("drifted-and-breadth-first", 2, 10, *_DRIFTED)
def _(it: Broken) -> None:
    it.options["record_order"] = breadth_first
    _let_drift(it)


@_case("drifted-and-headers-unreadable", 2, *_DRIFTED)
def _(it: Broken) -> None:
    _let_drift(it)
    it.scramble()
    it.either = it.roots


@_case("drifted-with-an-inactive-record", 2, 12, *_DRIFTED, Kind.INACTIVE_RECORD)
def _(it: Broken) -> None:
    _let_drift(it)
    it.skull.children[1].in_use = INACTIVE
    it.lost = [it.skull.children[1]]


@_case("drifted-and-one-link-bogus", 2, 7, Kind.LINKS_UNUSABLE, Kind.CHARACTER_SET)
def _(it: Broken) -> None:
    _let_drift(it)
    it.skull.children[0].next = 0x7FFFFFFF


@_case("links-only-where-not-zero", 6)
def _(it: Broken) -> None:
    it.options["links"] = _links_where_needed


@_case("no-link-elements", 6, Kind.LINKS_UNUSABLE)
def _(it: Broken) -> None:
    it.options["links"] = _absent_links


@_case("all-links-zero", 6, Kind.LINKS_UNUSABLE)
def _(it: Broken) -> None:
    it.options["links"] = _no_links


@_case("all-links-zero-the-first-too", 4, 6, Kind.LINKS_UNUSABLE)
def _(it: Broken) -> None:
    it.options["links"] = _no_links
    it.options["first"] = NO_RECORD


@_case("all-links-zero-and-headers-unreadable", 6, Kind.LINKS_UNUSABLE, Kind.UNLINKED)
def _(it: Broken) -> None:
    it.options["links"] = _no_links
    it.scramble()
    it.unlinked = it.roots


Order = Callable[[list[Record]], Iterable[Record]]
_ORDERS: Final[dict[str, Order]] = {
    "reversed": reversed,
    "breadth-first": breadth_first,
    "appended-in-no-order": lambda records: records[1::2] + records[::2],
}

for _name, _order in _ORDERS.items():

    @_case(f"records-{_name}", 10)
    def _(it: Broken, order: Order = _order) -> None:
        it.options["record_order"] = order

    @_case(f"records-{_name}-and-all-links-zero", 6, 10, Kind.LINKS_UNUSABLE)
    def _(it: Broken, order: Order = _order) -> None:
        it.options["record_order"] = order
        it.options["links"] = _no_links
        it.either = it.roots


@_case("all-links-random", 7, Kind.LINKS_UNUSABLE)
def _(it: Broken) -> None:
    numbers = random.Random(7)

    def links(_record: Record, following: int, lower: int) -> tuple[Value, Value]:
        return following and numbers.getrandbits(31), lower and numbers.getrandbits(31)

    it.options["links"] = links
    it.either = it.roots


# -- the root --------------------------------------------------------------------------

_FIRSTS: Final[dict[str, Callable[[Broken], Value]]] = {
    "bogus": lambda _: 12345678,
    "zero": lambda _: 0,
    "empty": lambda _: None,
    "absent": lambda _: OMIT,
    "inside-an-item": lambda it: it.offset(it.jane) + 8,
    "of-the-second-patient": lambda it: it.richard,
    "of-a-study": lambda it: it.head,
    "of-an-image": lambda it: it.lung.children[1],
}

for _name, _first in _FIRSTS.items():

    @_case(f"first-offset-{_name}", 4, Kind.WRONG_ROOT)
    def _(it: Broken, first: Callable[[Broken], Value] = _first) -> None:
        it.options["first"] = first(it)


@_case("first-and-last-offset-and-consistency-flag-empty", 4, 5, Kind.WRONG_ROOT)
def _(it: Broken) -> None:
    it.options["first"] = it.options["last"] = None
    it.options["top_level"] = {"FileSetConsistencyFlag": None}


@_case("last-offset-wrong", 5)
def _(it: Broken) -> None:
    it.options["last"] = 12345678


@_case("marked-inconsistent", 5, Kind.CONSISTENCY_FLAG)
def _(it: Broken) -> None:
    it.options["top_level"] = {"FileSetConsistencyFlag": 0xFFFF}


# -- links that are wrong here and there -----------------------------------------------

# Where a chain is broken, and what hangs behind.
_BREAKS: Final[dict[str, Callable[[Broken], tuple[Record, Sequence[Record]]]]] = {
    "patients": lambda it: (it.jane, []),
    "studies": lambda it: (it.thorax, [it.head]),
    "series": lambda it: (it.lung, [it.bone]),
    "images": lambda it: (it.lung.children[0], it.lung.children[1:]),
}
_ENDS: Final = {
    "ends-early": (NO_RECORD, Kind.ADOPTED),
    "leads-behind-the-end": (0x7FFFFFFF, Kind.BROKEN_LINK),
    "leads-into-the-header": (77, Kind.BROKEN_LINK),
}

for _level, _find in _BREAKS.items():
    for _name, (_link, _kind) in _ENDS.items():

        @_case(f"chain-of-{_level}-{_name}", 7, _kind)
        def _(
            it: Broken,
            find: Callable[[Broken], tuple[Record, Sequence[Record]]] = _find,
            link: int = _link,
        ) -> None:
            find(it)[0].next = link

        @_case(f"chain-of-{_level}-{_name}-and-headers-unreadable", 7, _kind)
        def _(
            it: Broken,
            find: Callable[[Broken], tuple[Record, Sequence[Record]]] = _find,
            link: int = _link,
        ) -> None:
            last, it.unlinked = find(it)
            last.next = link
            if it.unlinked and link == NO_RECORD:
                it.kinds = (Kind.UNLINKED,)
            it.scramble()


_PARENTS: Final[dict[str, Callable[[Broken], Record]]] = {
    "patient": lambda it: it.jane,
    "study": lambda it: it.thorax,
    "series": lambda it: it.lung,
}

for _level, _parent in _PARENTS.items():

    @_case(f"lower-link-of-the-{_level}-bogus", 7, Kind.BROKEN_LINK, Kind.ADOPTED)
    def _(it: Broken, parent: Callable[[Broken], Record] = _parent) -> None:
        parent(it).lower = 0x7FFFFFFF

    @_case(
        f"lower-link-of-the-{_level}-bogus-and-headers-silent",
        7,
        Kind.BROKEN_LINK,
        Kind.UNLINKED,
    )
    def _(it: Broken, parent: Callable[[Broken], Record] = _parent) -> None:
        it.silence()
        parent(it).lower = 0x7FFFFFFF
        it.unlinked = parent(it).children


@_case("orphan-of-a-patient-that-no-record-has", 7, Kind.UNLINKED)
def _(it: Broken) -> None:
    it.lung.next = NO_RECORD
    it.bone.say(PatientID="9999", StudyInstanceUID="9.9.9")
    it.unlinked = [it.bone]


@_case("orphan-of-one-patient-and-of-a-series-of-another", 7, Kind.UNLINKED)
def _(it: Broken) -> None:
    it.lung.children[1].next = NO_RECORD
    it.lung.children[2].say(PatientID="4712")
    it.unlinked = it.lung.children[2:]


@_case("loop-of-images", 8, Kind.LOOP)
def _(it: Broken) -> None:
    it.lung.children[2].next = it.lung.children[0]


@_case("loop-of-images-in-front-of-the-last", 8, Kind.LOOP, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.lung.children[1].next = it.lung.children[0]


@_case("patient-is-followed-by-itself", 8, Kind.LOOP)
def _(it: Broken) -> None:
    it.jane.next = it.jane


@_case("image-leads-down-to-its-patient", 8, Kind.LOOP)
def _(it: Broken) -> None:
    it.lung.children[0].lower = it.jane


@_case("series-leads-down-to-its-study", 8, Kind.LOOP, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.lung.lower = it.thorax


@_case("series-leads-down-to-itself", 8, Kind.LOOP, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.lung.lower = it.lung


@_case("series-is-followed-by-its-study", 8, Kind.LOOP)
def _(it: Broken) -> None:
    it.bone.next = it.thorax


@_case("patient-leads-down-to-another-patient", 8, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.jane.lower = it.richard


@_case("study-leads-down-to-another-patient", 8, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.head.lower = it.richard


@_case("orphaned-image-is-followed-by-its-own-series", 8, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.lung.next = it.bone.children[0].next = NO_RECORD
    it.bone.children[1].next = it.bone


@_case("two-series-share-their-images", 9, Kind.SECOND_PARENT, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.bone.lower = it.lung.children[0]


@_case(
    "two-series-share-their-images-and-headers-unreadable",
    9,
    Kind.SECOND_PARENT,
    Kind.UNLINKED,
)
def _(it: Broken) -> None:
    it.bone.lower = it.lung.children[0]
    it.scramble()
    it.either, it.unlinked = [it.lung], [it.bone]


# What one patient's records lead to besides, and who of another patient has two parents.
_STRAYS: Final[dict[str, Callable[[Broken], tuple[Record, Record, Record]]]] = {
    "study": lambda it: (it.head, it.knee, it.knee),
    "series": lambda it: (it.bone, it.left, it.left),
    "images": lambda it: (it.skull.children[-1], it.left.children[0], it.left),
}

for _level, _stray in _STRAYS.items():
    # Whose records come first does not matter: an instance is its own patient's.

    @_case(f"{_level}-of-another-patient-behind", 9, Kind.SECOND_PARENT)
    def _(
        it: Broken, stray: Callable[[Broken], tuple[Record, Record, Record]] = _stray
    ) -> None:
        last, other, _ = stray(it)
        last.next = other

    @_case(
        f"{_level}-of-another-patient-behind-and-headers-unreadable",
        9,
        Kind.SECOND_PARENT,
    )
    def _(
        it: Broken, stray: Callable[[Broken], tuple[Record, Record, Record]] = _stray
    ) -> None:
        last, other, shared = stray(it)
        last.next = other
        it.scramble()
        it.either = [shared]


@_case("images-of-another-patient-behind-that-are-linked-nowhere-else", 9, Kind.LOOP)
def _(it: Broken) -> None:
    # Where links are known to be wrong, the others are not beyond doubt.
    it.lung.lower = it.thorax
    it.left.children[-1].next = it.lung.children[0]
    it.either = [it.lung]


@_case("image-of-another-patient-in-between", 9, Kind.SECOND_PARENT, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.lung.children[0].next = it.left.children[1]


@_case("two-patients-share-studies-of-the-first", 9, Kind.SECOND_PARENT, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.richard.lower = it.thorax


@_case("two-patients-share-studies-of-the-second", 9, Kind.SECOND_PARENT, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.jane.lower = it.knee


@_case("two-patients-share-a-series", 9, Kind.SECOND_PARENT, Kind.ADOPTED)
def _(it: Broken) -> None:
    it.head.lower = it.left


def _nest(it: Broken, chain: Sequence[Record]) -> None:
    """Let each record of *chain* lie below the one before, all below an image."""
    above = it.lung.children[0]
    for each in chain:
        above.children = [each]
        above = each
    it.either = chain[:1]


@_case("1500-levels", 11, Kind.TOO_DEEP, Kind.PRIVATE_RECORD)
def _(it: Broken) -> None:
    deepest = leaf("PRIVATE", "1.2.9.9", file="DICOM/DEEP")
    _nest(it, [*(record("PRIVATE") for _ in range(1500)), deepest])
    it.places[deepest] = (JANE, THORAX, LUNG)


@_case("400-levels-and-an-instance-on-each", 11, Kind.TOO_DEEP, Kind.PRIVATE_RECORD)
def _(it: Broken) -> None:
    chain = [leaf("PRIVATE", f"1.2.9.{n}", file=f"DEEP/I{n}") for n in range(400)]
    _nest(it, chain)
    it.places = dict.fromkeys(chain, ANYWHERE)


_HIDDEN: Final[dict[str, Callable[[Broken], Record]]] = {
    "patient-at-the-root": lambda it: it.jane,
    "study": lambda it: it.head,
    "series": lambda it: it.lung,
    "image-that-its-series-names": lambda it: it.lung.children[0],
    "image-in-between": lambda it: it.lung.children[1],
}

for _name, _find_hidden in _HIDDEN.items():

    @_case(f"inactive-{_name}", 12, Kind.INACTIVE_RECORD)
    def _(it: Broken, find: Callable[[Broken], Record] = _find_hidden) -> None:
        find(it).in_use = INACTIVE
        it.lost = [find(it)]


@_case("inactive-and-its-link-bogus", 7, 12, Kind.INACTIVE_RECORD, Kind.BROKEN_LINK)
def _(it: Broken) -> None:
    it.lung.children[1].in_use = INACTIVE
    it.lung.children[1].next = 77
    it.lost = it.lung.children[1:2]


for _name, _flag in {"missing": OMIT, "empty": None, "odd": 0x1234}.items():

    @_case(f"in-use-flag-{_name}", 12)
    def _(it: Broken, flag: Value = _flag) -> None:
        for each in it.records:
            each.in_use = flag


def _share_file(it: Broken) -> Record:
    """Let an image have its file from a multi-referenced record; return this."""
    shared = record("MRDR", file="SHARED/I1", path=None, NumberOfReferences=1)
    user = it.lung.children[0]
    user.file, user.path = OMIT, "SHARED/I1"
    user["MRDRDirectoryRecordOffset"] = shared
    return shared


@_case("multi-referenced-record-at-the-root", 13)
def _(it: Broken) -> None:
    it.roots.insert(0, _share_file(it))


@_case("multi-referenced-record-that-nothing-links-to", 13)
def _(it: Broken) -> None:
    it.options["unlinked"] = [_share_file(it)]


@_case("multi-referenced-record-missing", 13, Kind.BROKEN_REFERENCE)
def _(it: Broken) -> None:
    user = it.lung.children[0]
    user.file, user.path = OMIT, None
    user["MRDRDirectoryRecordOffset"] = 77


@_case("retired-and-private-records-in-a-study", 13, Kind.PRIVATE_RECORD)
def _(it: Broken) -> None:
    types = ("VISIT", "STUDY COMPONENT", "RESULTS", "PRIVATE")
    it.thorax.children[1:1] = [
        leaf(type_, f"1.2.8.{n}", file=f"RETIRED/R{n}") for n, type_ in enumerate(types)
    ]


# -- the content of records ------------------------------------------------------------


@_case("private-record-without-its-uid", 14, Kind.PRIVATE_RECORD)
def _(it: Broken) -> None:
    it.lung.children.append(leaf("PRIVATE", OMIT, file="DICOM/PRIVATE1"))


@_case("private-record-at-the-root", 14, Kind.PRIVATE_RECORD)
def _(it: Broken) -> None:
    private = leaf("PRIVATE", "1.2.7", file="DICOM/PRIVATE1")
    it.roots.append(private)
    it.silent = [private]
    it.places[private] = ("Other", "Private")


@_case("unknown-type-with-a-file", 15, Kind.UNKNOWN_TYPE)
def _(it: Broken) -> None:
    it.lung.children.append(leaf("HOLOGRAM", "1.2.7", file="DICOM/HOLO1"))


@_case("unknown-type-with-records-below", 15, Kind.UNKNOWN_TYPE)
def _(it: Broken) -> None:
    it.lung.children.append(record("HOLOGRAM", _images("1.2.7", 2)))


@_case("late-and-retired-types", 15)
def _(it: Broken) -> None:
    types = ("ANNOTATION", "WF PRESENTATION", "OVERLAY", "CURVE")
    it.lung.children += [
        leaf(type_, f"1.2.7.{n}", file=f"DICOM/OTHER{n}")
        for n, type_ in enumerate(types)
    ]


_SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "small": str.lower,
    "padded": lambda type_: f" {type_}  ",
    "ended-by-nul": lambda type_: f"{type_}\0",
}

for _name, _spelling in _SPELLINGS.items():

    @_case(f"types-{_name}", 15)
    def _(it: Broken, spelling: Callable[[str], str] = _spelling) -> None:
        it.names = {each: _plain_name(each) for each in it.records}
        for each in it.records:
            each.record_type = spelling(str(each.record_type))


_LEVELS: Final[dict[str, Callable[[Broken], Record]]] = {
    **_PARENTS,
    "image": lambda it: it.lung.children[0],
}

for _level, _parent in _LEVELS.items():
    for _name, _type in {"missing": OMIT, "empty": None, "unknown": "UNKNOWN"}.items():

        @_case(f"type-of-the-{_level}-{_name}", 15, Kind.UNKNOWN_TYPE)
        def _(
            it: Broken,
            find: Callable[[Broken], Record] = _parent,
            type_: Value = _type,
        ) -> None:
            it.names[find(it)] = _plain_name(find(it))
            find(it).record_type = type_


def _say_patient(*records: Record) -> None:
    """Let the headers alone say that they are Jane's."""
    for each in records:
        each.say(PatientName="Doe^Jane", PatientID="4711")


def _say_study(*records: Record) -> None:
    """Let the headers alone say which study of Jane's they belong to."""
    _say_patient(*records)
    for each in records:
        each.say(
            StudyInstanceUID="1.2.1", StudyDate="20230705", StudyDescription="Thorax"
        )


@_case("study-at-the-root", 16)
def _(it: Broken) -> None:
    it.roots = [it.thorax]
    _say_patient(it.thorax)
    it.places = {
        each: (JANE, THORAX, _plain_name(above))
        for above in it.thorax.children
        for each in above.children
    }


@_case("series-at-the-root", 16)
def _(it: Broken) -> None:
    it.roots = [it.lung]
    _say_study(it.lung)
    it.places = dict.fromkeys(it.lung.children, (JANE, THORAX, LUNG))


@_case("images-at-the-root", 16)
def _(it: Broken) -> None:
    it.roots = it.lung.children
    _say_study(*it.roots)
    for each in it.roots:
        each.header.update(it.lung.attributes)
    it.places = dict.fromkeys(it.roots, (JANE, THORAX, LUNG))


@_case("studies-at-the-root-name-their-patients", 16)
def _(it: Broken) -> None:
    it.roots = [it.thorax, it.head, it.knee]
    for each, owner in zip(it.roots, (it.jane, it.jane, it.richard), strict=True):
        each.attributes |= owner.attributes
        for line in _lines([each]).values():
            names = [_plain_name(owner), *map(_plain_name, line[:-1])]
            it.places[line[-1]] = tuple(names)


@_case("no-records", 16)
def _(it: Broken) -> None:
    it.roots = []


@_case("patients-without-studies", 16)
def _(it: Broken) -> None:
    it.jane.children = it.richard.children = []


@_case("hanging-protocol-first", 16)
def _(it: Broken) -> None:
    protocol = leaf("HANGING PROTOCOL", "1.2.6.3", HangingProtocolName="Chest")
    it.roots.insert(0, protocol)
    it.silent = [protocol]
    it.places[protocol] = ("Other", "Hanging protocol")


# The level and the name that its folder has without the key, if that is another.
_KEYS: Final = {
    "PatientID": ("patient", "Doe, Jane"),
    "StudyInstanceUID": ("study", ""),
    "StudyDate": ("study", "Undated Thorax"),
    "SeriesInstanceUID": ("series", ""),
    "SeriesNumber": ("series", "CT Lung"),
    "Modality": ("series", "001 Lung"),
    "ReferencedSOPInstanceUIDInFile": ("image", ""),
    "InstanceNumber": ("image", ""),
}

for _key, (_level, _shown) in _KEYS.items():
    for _name, _value in {"missing": OMIT, "empty": None}.items():

        @_case(f"{_key}-{_name}", 17, Kind.MISSING_KEY)
        def _(
            it: Broken,
            key: str = _key,
            level: str = _level,
            shown: str = _shown,
            value: Value = _value,
        ) -> None:
            each = _LEVELS[level](it)
            each.say(**{key: each[key]})
            each[key] = value
            if shown:
                it.names[each] = shown


@_case("no-patient-has-a-name", 17)
def _(it: Broken) -> None:
    # It may be empty.
    it.jane["PatientName"], it.richard["PatientName"] = OMIT, None
    it.names = {it.jane: "4711", it.richard: "4712"}


@_case("no-patient-has-a-name-or-an-id", 17, Kind.MISSING_KEY)
def _(it: Broken) -> None:
    for each in it.roots:
        each.say(PatientID=each["PatientID"])
        each["PatientName"] = each["PatientID"] = None
        it.names[each] = "Unknown patient"


@_case("no-study-and-no-series-has-a-uid", 17, Kind.MISSING_KEY)
def _(it: Broken) -> None:
    for key in ("StudyInstanceUID", "SeriesInstanceUID"):
        for each in it.records:
            if tag_for_keyword(key) in each.attributes:
                each.say(**{key: each[key]})
                each[key] = None


@_case("descriptions-only-in-headers", 18)
def _(it: Broken) -> None:
    it.lung.say(SeriesDescription="of a header")
    it.lung["SeriesDescription"] = OMIT
    it.names[it.lung] = "001 CT of a header"


@_case("no-descriptions", 18, Kind.MISSING_DESCRIPTION)
def _(it: Broken) -> None:
    it.thorax["StudyDescription"] = None
    it.lung["SeriesDescription"] = it.bone["SeriesDescription"] = OMIT
    it.names = {
        it.thorax: "2023-07-05 Study 1",
        it.lung: "001 CT",
        it.bone: "002 CT",
    }


@_case("text-unfit-for-file-names", 19, Kind.RUBBISH)
def _(it: Broken) -> None:
    it.jane["PatientName"], it.jane["PatientID"] = "../..^", "/etc/passwd"
    it.richard["PatientName"] = "^"
    it.thorax["StudyDescription"] = "1A TRAUMA/PLAIN HEAD DM"
    it.head["StudyDescription"] = ".."
    it.lung["SeriesDescription"] = b"Lung\0\x1b[31m\n "
    it.bone["SeriesDescription"] = "CON. "
    it.left["SeriesDescription"] = "left " * 12 + "."
    it.names = {
        it.jane: "_ (_etc_passwd)",
        it.richard: "4712",
        it.thorax: "2023-07-05 1A TRAUMA_PLAIN HEAD DM",
        it.head: "2024-01-18 Study 1",
        it.lung: "001 CT Lung",
        it.bone: "002 CT CON_",
        # Cut to the budget of a series.
        it.left: "001 CT " + ("left " * 10).strip(),
    }


@_case("two-patients-of-one-id", 20)
def _(it: Broken) -> None:
    it.richard["PatientID"] = "4711"


@_case("two-records-of-one-patient", 20)
def _(it: Broken) -> None:
    it.richard["PatientName"], it.richard["PatientID"] = "DOE^JANE ", "4711"
    it.names[it.richard] = JANE


@_case("two-records-of-one-patient-with-two-birth-dates", 20)
def _(it: Broken) -> None:
    it.richard["PatientName"], it.richard["PatientID"] = "Doe^Jane", "4711"
    it.jane["PatientBirthDate"] = "19700101"
    it.richard["PatientBirthDate"] = "19800101"


@_case("one-study-of-two-patients", 20, Kind.SPLIT_STUDY)
def _(it: Broken) -> None:
    it.knee["StudyInstanceUID"] = it.thorax["StudyInstanceUID"]


@_case("one-series-twice-in-a-study", 20)
def _(it: Broken) -> None:
    it.bone["SeriesInstanceUID"] = it.lung["SeriesInstanceUID"]
    it.names[it.bone] = LUNG


@_case("one-series-in-two-studies", 20)
def _(it: Broken) -> None:
    it.skull["SeriesInstanceUID"] = it.lung["SeriesInstanceUID"]


@_case("one-uid-for-all-images-of-a-series", 20, Kind.DUPLICATE_INSTANCE)
def _(it: Broken) -> None:
    for each in it.lung.children:
        each["ReferencedSOPInstanceUIDInFile"] = "1.2.1.1.1"


@_case("one-uid-and-number-for-two-images", 20, Kind.DUPLICATE_INSTANCE)
def _(it: Broken) -> None:
    one, other = it.lung.children[:2]
    other.attributes, other.size = one.attributes, 512


@_case("one-file-in-two-series", 20, Kind.UID_DISAGREES)
def _(it: Broken) -> None:
    one, other = it.lung.children[0], it.bone.children[0]
    other.file, other.attributes = one.file, one.attributes
    it.silent = [one, other]


@_case("one-file-twice-in-a-series", 20, Kind.REPEATED_INSTANCE)
def _(it: Broken) -> None:
    one, other = it.lung.children[:2]
    other.file, other.attributes = one.file, one.attributes


@_case("one-file-listed-for-each-of-its-frames", 22)
def _(it: Broken) -> None:
    for each in it.lung.children:
        each.file = "DICOM/FRAMES"
        each["ReferencedSOPInstanceUIDInFile"] = "1.2.1.1.9"


@_case("header-names-another-patient", 21, Kind.PATIENT_DISAGREES)
def _(it: Broken) -> None:
    # Its chain is sound: the index decides where it is shown.
    it.lung.children[1].say(PatientName="Poe^Edgar", PatientID="4713")
    it.silent = it.lung.children[1:2]


@_case("headers-have-other-uids", 21, Kind.UID_DISAGREES)
def _(it: Broken) -> None:
    it.lung.children[0].say(StudyInstanceUID="9.1")
    it.lung.children[1].say(SeriesInstanceUID="9.2")
    it.lung.children[2].say(SOPInstanceUID="9.3")
    it.silent = [it.lung]


@_case("two-patients-have-each-others-studies", 21, Kind.PATIENT_DISAGREES)
def _(it: Broken) -> None:
    # The links make a tree, if not the one that was meant: only the headers know.
    _say_patient(it.thorax, it.head)
    it.knee.say(PatientName="Roe^Richard", PatientID="4712")
    it.jane.children, it.richard.children = it.richard.children, it.jane.children
    it.silent = it.roots


@_case("files-that-no-record-lists", 22, Kind.UNLISTED_INSTANCE, Kind.UNLISTED_FILE)
def _(it: Broken) -> None:
    def arrange(root: Path) -> None:
        (root / "DICOM/STRAY").write_bytes(instance_bytes(PatientID="4714"))
        (root / "README.TXT").write_text("See the viewer.")

    it.arrange = arrange


@_case("siblings-unsorted", 23)
def _(it: Broken) -> None:
    for each, number in zip(it.lung.children, (21, 20, 4), strict=True):
        each["InstanceNumber"] = number
    it.lung["SeriesNumber"], it.bone["SeriesNumber"] = 9, 3


_ITEM: Final = b"\xfe\xff\0\xe0"
_ITEM_END: Final = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNDEFINED: Final = b"\xff\xff\xff\xff"


@_case("icons", 24)
def _(it: Broken) -> None:
    jpeg = _ITEM + b"\x04\0\0\0\xff\xd8\xff\xd9"
    fragments = Raw("OB", jpeg * 2 + _SEQUENCE_END, UNDEFINED_LENGTH)
    large, words, compressed = it.lung.children
    large["IconImageSequence"] = icon(128)
    words["IconImageSequence"] = [{"Rows": 2, "PixelData": Raw("OW", bytes(4))}]
    compressed["IconImageSequence"] = [{"Rows": 2, "PixelData": fragments}]
    it.lung["IconImageSequence"] = Items(icon(), True, True)


@_case("icon-of-nothing", 24)
def _(it: Broken) -> None:
    it.lung.children[0]["IconImageSequence"] = [{}]


@_case("heavy-and-private-sequences", 25)
def _(it: Broken) -> None:
    heavy, hidden, private = it.lung.children
    nested = Items([{"CodeMeaning": "deepest"}], True, True)
    for _ in range(20):
        nested = Items([{"ConceptNameCodeSequence": nested}], True, True)
    heavy["ConceptNameCodeSequence"] = nested
    # Of undefined length and VR: a sequence in implicit VR (PS3.5 6.2.2).
    inside = element_bytes("PatientID", "9999", explicit=False)
    content = _ITEM + _UNDEFINED + inside + _ITEM_END + _SEQUENCE_END
    hidden[0x00E10010] = "ELSCINT1"
    hidden[0x00E11001] = Raw("UN", content, UNDEFINED_LENGTH)
    private[0x08590010] = "ETIAM DICOMDIR"
    private[0x08591001] = Raw("UN", bytes(5000))


@_case("implant-keys-swapped", 26)
def _(it: Broken) -> None:
    assembly = leaf("IMPLANT ASSY", "1.2.6.1", ImplantTemplateGroupName="Hip")
    group = leaf("IMPLANT GROUP", "1.2.6.2", ImplantAssemblyTemplateName="Knee")
    it.roots += [assembly, group]
    it.silent = [assembly, group]
    it.places[assembly] = ("Other", "Implant assy")
    it.places[group] = ("Other", "Implant group")


# -- File IDs and the medium -----------------------------------------------------------

# What becomes of the names that File IDs have.
_ON_DISC: Final[dict[str, tuple[int, Callable[[str], str]]]] = {
    "small": (27, str.lower),
    "with-a-dot": (28, lambda path: f"{path}."),
    "with-a-version": (28, lambda path: f"{path};1"),
    "small-with-dot-and-version": (28, lambda path: f"{path}.;1".lower()),
    "with-an-extension": (29, lambda path: f"{path}.dcm"),
    "with-another-extension": (29, lambda path: f"{path}.IMA"),
}

for _name, (_entry, _rename) in _ON_DISC.items():

    @_case(f"names-on-disc-{_name}", _entry)
    def _(it: Broken, rename: Callable[[str], str] = _rename) -> None:
        it.rename = rename


# What a record calls the file DICOM/S1/IM000001.
_FILE_IDS: Final[dict[str, tuple[int, Value]]] = {
    "small": (27, b"dicom\\s1\\im000001"),
    "with-a-version": (28, b"DICOM\\S1\\IM000001;1"),
    "with-an-extension": (29, b"DICOM\\S1\\IM000001.DCM"),
    "with-slashes": (30, b"DICOM/S1/IM000001"),
    "with-a-leading-separator": (30, b"\\DICOM\\S1\\IM000001"),
    "with-a-trailing-separator": (30, b"DICOM\\S1\\IM000001\\"),
    "with-doubled-separators": (30, b"DICOM\\\\S1\\\\IM000001"),
    "with-a-dot-component": (30, b".\\DICOM\\.\\S1\\IM000001"),
    "with-a-drive": (30, b"D:\\DICOM\\S1\\IM000001"),
    "in-LO": (33, Raw("LO", b"DICOM\\S1\\IM000001 ")),
    "in-ST": (33, Raw("ST", b"DICOM\\S1\\IM000001 ")),
    "in-UI": (33, Raw("UI", b"DICOM\\S1\\IM000001\0")),
    "in-UN": (33, Raw("UN", b"DICOM\\S1\\IM000001 ")),
}

for _name, (_entry, _file_id) in _FILE_IDS.items():

    @_case(f"file-id-{_name}", _entry)
    def _(it: Broken, file_id: Value = _file_id) -> None:
        it.lung.children[1].path = "DICOM/S1/IM000001"
        it.lung.children[1].file = file_id


_ODD_NAMES: Final = {
    "of-a-long-component": b"DICOM/" + b"A" * 60,
    "of-ten-components": b"A/B/C/D/E/F/G/H/I/J",
    "of-other-characters": b"DICOM/image (1) #2",
    "of-no-ascii": b"DICOM/IM\xc4GE1",
}

for _name, _odd_name in _ODD_NAMES.items():

    @_case(f"file-id-{_name}", 32)
    def _(it: Broken, name: bytes = _odd_name) -> None:
        it.lung.children[1].path = os.fsdecode(name)
        it.lung.children[1].file = name.replace(b"/", b"\\")


# File IDs that lead to no file: what opening that gives, and the report.
_NOWHERE: Final[dict[str, tuple[int, bytes, int, tuple[Kind, ...]]]] = {
    "absolute": (30, b"/etc/passwd", errno.ENOENT, (Kind.MISSING_FILE,)),
    "upwards": (31, b"..\\..\\etc\\passwd", errno.EACCES, (Kind.REFUSED_PATH,)),
    "down-and-up": (31, b"A\\..\\..\\B", errno.EACCES, (Kind.REFUSED_PATH,)),
    "with-a-nul": (
        31,
        b"DICOM\\A\0B\\C",
        errno.EACCES,
        (Kind.REFUSED_PATH, Kind.RUBBISH),
    ),
    "of-a-missing-file": (34, b"DICOM\\GONE", errno.ENOENT, (Kind.MISSING_FILE,)),
    "of-a-missing-folder": (34, b"GONE\\GONE", errno.ENOENT, (Kind.MISSING_FILE,)),
}

for _name, (_entry, _bytes, _errno, _kinds) in _NOWHERE.items():

    @_case(f"file-id-{_name}", _entry, *_kinds)
    def _(it: Broken, file_id: bytes = _bytes, number: int = _errno) -> None:
        it.lung.children[1].file, it.lung.children[1].path = file_id, None
        it.errors[it.lung.children[1]] = number


@_case("file-id-of-a-link-out-of-the-medium", 31, Kind.NOT_A_FILE)
def _(it: Broken) -> None:
    it.lung.children[1].file, it.lung.children[1].path = "DICOM/LINK", None
    it.arrange = lambda root: (root / "DICOM/LINK").symlink_to("/etc/passwd")
    it.errors[it.lung.children[1]] = errno.EACCES


@_case("file-id-empty", 30, Kind.BROKEN_REFERENCE)
def _(it: Broken) -> None:
    it.lung.children[1].file = None


@_case("all-files-of-a-series-missing", 34, Kind.MISSING_FILE)
def _(it: Broken) -> None:
    for each in it.lung.children:
        each.path = None
        it.errors[each] = errno.ENOENT


# What became of the path of each file.
_MOVES: Final[dict[str, Callable[[str], str]]] = {
    "into-a-folder": lambda path: f"CD1/export/{path}",
    "without-its-folder": lambda path: path.removeprefix("DICOM/"),
    "into-another-folder": lambda path: f"In/Vendor/{path.removeprefix('DICOM/')}",
    "and-renamed": lambda path: f"in/{path.lower()}.dcm",
    "into-a-folder-of-the-same-name": lambda path: f"DICOM/{path}",
}

for _name, _move in _MOVES.items():

    @_case(f"file-set-moved-{_name}", 35, Kind.FILES_MOVED)
    def _(it: Broken, move: Callable[[str], str] = _move) -> None:
        it.rename = move


@_case("file-set-written-without-its-folder", 35, Kind.FILES_MOVED)
def _(it: Broken) -> None:
    for each in it.images:
        each.path = f"IMAGES/{each.file}"
        each.file = str(each.file).removeprefix("DICOM/")


@_case("dicomdir-moved-into-a-folder", 35, Kind.FILES_MOVED)
def _(it: Broken) -> None:
    it.dicomdir = "CD1/export/DICOMDIR"


@_case(
    "file-set-moved-beside-another-one", 35, Kind.FILES_MOVED, Kind.UNLISTED_INSTANCE
)
def _(it: Broken) -> None:
    # What lies there has the same names, and is somebody else's.
    def arrange(root: Path) -> None:
        for each in it.images:
            other = root / "A" / str(each.file)
            other.parent.mkdir(parents=True, exist_ok=True)
            other.write_bytes(instance_bytes(SOPInstanceUID=f"1.9.{id(each)}"))

    it.rename = lambda path: f"B/{path}"
    it.arrange = arrange


@_case("files-of-a-patient-moved", 35, Kind.FILES_MOVED)
def _(it: Broken) -> None:
    for each in it.images:
        if each not in it.left.children:
            each.path = f"COPY/{each.file}"


@_case("file-set-moved-but-for-a-file", 35, Kind.FILES_MOVED, Kind.MISSING_FILE)
def _(it: Broken) -> None:
    it.rename = lambda path: f"COPY/{path}"
    it.bone.children[0].path = None
    it.errors[it.bone.children[0]] = errno.ENOENT


@_case("other-files-of-the-same-names", 35, Kind.MISSING_FILE, Kind.UNLISTED_INSTANCE)
def _(it: Broken) -> None:
    def arrange(root: Path) -> None:
        for each in it.images:
            other = root / "COPY" / str(each.file)
            other.parent.mkdir(parents=True, exist_ok=True)
            other.write_bytes(instance_bytes(SOPInstanceUID=f"1.9.{id(each)}"))

    it.arrange = arrange
    for each in it.images:
        each.path = None
        it.errors[each] = errno.ENOENT


for _name in ("dicomdir", "DICOMDIR.", "DICOMDIR.;1", "DicomDir;1"):

    @_case(f"dicomdir-called-{_name}", 36)
    def _(it: Broken, name: str = _name) -> None:
        it.dicomdir = name


@_case("dicomdir-in-a-folder", 36)
def _(it: Broken) -> None:
    it.folder = "CD1/export"


@_case("dicomdir-of-another-folder-is-none", 37, Kind.INDEX_LEFT_OUT)
def _(it: Broken) -> None:
    def arrange(root: Path) -> None:
        (root / "CD2").mkdir()
        (root / "CD2/DICOMDIR").write_bytes(b"no directory at all" * 20)

    it.folder = "CD1"
    it.arrange = arrange


def _take_apart(it: Broken, *records: Record, **options: Unpack[Options]) -> None:
    """Let *records* lead to directory files, each of what is below its record."""
    places = {each: f"DICOM/D{number}/DIRFILE" for number, each in enumerate(records)}

    def without_those_below(each: Record) -> Record:
        if each not in places:
            below = [without_those_below(child) for child in each.children]
            return replace(each, children=below)
        made = replace(each, children=[], file=places[each])
        made.attributes = dict(each.attributes)
        made["ReferencedSOPClassUIDInFile"] = uid.MediaStorageDirectoryStorage
        made["ReferencedSOPInstanceUIDInFile"] = f"1.8.{list(places).index(each)}"
        made["ReferencedTransferSyntaxUIDInFile"] = uid.ExplicitVRLittleEndian
        return made

    def arrange(root: Path) -> None:
        for each, place in places.items():
            below = [without_those_below(child) for child in each.children]
            (root / place).parent.mkdir(parents=True)
            (root / place).write_bytes(build_dicomdir(below, **options))

    it.arrange = arrange
    it.damage = lambda _layout: build_dicomdir(
        [without_those_below(each) for each in it.roots], **options
    )


@_case("study-is-a-directory-of-its-own", 37)
def _(it: Broken) -> None:
    _take_apart(it, it.head)


@_case("all-series-are-directories-of-their-own", 37)
def _(it: Broken) -> None:
    _take_apart(it, it.lung, it.bone, it.skull, it.left)


@_case("studies-and-series-are-directories-of-their-own", 37)
def _(it: Broken) -> None:
    _take_apart(it, it.thorax, it.lung, it.bone, it.head, it.knee, it.left)


@_case("directories-of-studies-and-series-without-offsets", 37, Kind.WRONG_ROOT)
def _(it: Broken) -> None:
    # As one vendor writes them: studies at the root, and no offset of any first record.
    it.names = {it.jane: "Doe, Jane (4711)", it.richard: "Roe, Richard (4712)"}
    studies = [it.thorax, it.head, it.knee]
    _take_apart(
        it, *studies, it.lung, it.bone, it.skull, it.left, first=None, last=None
    )


@_case("dicomdir-lists-itself", 38, Kind.REFERENCES_ITSELF)
def _(it: Broken) -> None:
    it.lung.children.append(image("1.2.1.1.9", file="DICOMDIR", path=None))


@_case("instance-is-a-program-too", 40, Kind.EXECUTABLE_PREAMBLE)
def _(it: Broken) -> None:
    def arrange(root: Path) -> None:
        with (root / str(it.lung.children[0].file)).open("r+b") as file:
            file.write(b"MZ")

    it.arrange = arrange


# -- the encoding of the DICOMDIR ------------------------------------------------------


@_case("implicit-vr", 41)
def _(it: Broken) -> None:
    it.options["explicit"] = False


@_case("big-endian", 41)
def _(it: Broken) -> None:
    it.options["little_endian"] = False


for _name, _syntax in {
    "implicit-vr": uid.ImplicitVRLittleEndian,
    "big-endian": uid.ExplicitVRBigEndian,
}.items():

    @_case(f"said-to-be-{_name}", 42, Kind.WRONG_SYNTAX)
    def _(it: Broken, syntax: str = _syntax) -> None:
        it.options["meta"] = {"TransferSyntaxUID": syntax}


@_case("implicit-vr-said-to-be-explicit", 42, Kind.WRONG_SYNTAX)
def _(it: Broken) -> None:
    it.options["explicit"] = False
    it.options["meta"] = {"TransferSyntaxUID": uid.ExplicitVRLittleEndian}


@_case("no-preamble", 43, Kind.NO_FILE_META)
def _(it: Broken) -> None:
    it.options["prefix"] = b""


@_case("preamble-lost", 43, Kind.NO_FILE_META, Kind.LINKS_SHIFTED)
def _(it: Broken) -> None:
    it.damage = lambda layout: layout.data[132:]


@_case("no-preamble-and-no-meta", 43, Kind.NO_FILE_META)
def _(it: Broken) -> None:
    it.options["prefix"] = b""
    it.options["meta"] = None


for _name, _length in {"small": 4, "large": 4000, "huge": 0xFFFFFFF0}.items():

    @_case(f"meta-group-length-too-{_name}", 43)
    def _(it: Broken, length: int = _length) -> None:
        it.options["meta"] = {0x00020000: length}


@_case("meta-elements-repeated", 43)
def _(it: Broken) -> None:
    it.options["top_level"] = {"TransferSyntaxUID": uid.ExplicitVRLittleEndian}


@_case("another-sop-class", 44, Kind.WRONG_SOP_CLASS)
def _(it: Broken) -> None:
    private = "1.2.276.0.7230010.3.1.0.1"
    it.options["meta"] = {"MediaStorageSOPClassUID": private}


@_case("no-sequence-of-records", 45)
def _(it: Broken) -> None:
    it.roots = []
    it.options["top_level"] = {"DirectoryRecordSequence": OMIT}


@_case("undefined-lengths", 46)
def _(it: Broken) -> None:
    it.options["undefined_sequences"] = it.options["undefined_items"] = True


@_case("some-items-of-undefined-length", 46)
def _(it: Broken) -> None:
    for each in it.records[::2]:
        each.undefined_length = True


@_case("padded-to-the-sector", 46)
def _(it: Broken) -> None:
    it.options["trailing"] = bytes(2048)


@_case("last-item-longer-than-the-file", 46)
def _(it: Broken) -> None:
    it.left.children[-1].length_error = 24


@_case("sequence-length-too-short", 46)
def _(it: Broken) -> None:
    it.options["sequence_length_error"] = -300


@_case("sequence-length-too-long", 46, Kind.INDEX_CUT_OFF)
def _(it: Broken) -> None:
    it.options["sequence_length_error"] = 300


@_case("item-swallows-its-siblings", 46, Kind.DAMAGED_RECORD)
def _(it: Broken) -> None:
    one, two, three = it.lung.children
    one.length_error = it.offset(three) - it.offset(two) + 4
    it.optional = [one]


@_case("item-too-short", 46, Kind.DAMAGED_RECORD)
def _(it: Broken) -> None:
    it.lung.children[0].length_error = -10
    it.optional = it.lung.children[:1]


@_case("item-of-no-length", 46, Kind.DAMAGED_RECORD)
def _(it: Broken) -> None:
    one, two = it.lung.children[:2]
    one.length_error = it.offset(one) + len(_ITEM + _UNDEFINED) - it.offset(two)
    it.optional = [one]


_GARBAGE: Final = b"\xff" * 31
_SECTOR: Final = 2048

for _level, _parent in _LEVELS.items():
    for _name, _is_undefined in {"": False, "-of-undefined-length": True}.items():

        @_case(f"garbage-behind-the-{_level}{_name}", 46, Kind.DAMAGED_RECORD)
        def _(
            it: Broken,
            find: Callable[[Broken], Record] = _parent,
            is_undefined: bool = _is_undefined,
        ) -> None:
            each = find(it)
            each.tail, each.undefined_length = _GARBAGE, is_undefined
            it.names[each] = ANYTHING
            it.optional = [] if each.children else [each]
            it.either = [each] if each.children else []

    @_case(
        f"garbage-for-the-links-of-the-{_level}",
        46,
        Kind.ADOPTED,
        Kind.MALFORMED_RECORD,
    )
    def _(it: Broken, find: Callable[[Broken], Record] = _parent) -> None:
        each = find(it)
        each.next = Raw("??", b"", 0xFFF0)
        it.names[each] = ANYTHING
        it.optional = [] if each.children else [each]
        it.either = [each] if each.children else []


@_case("value-longer-than-its-record", 46, Kind.MALFORMED_RECORD)
def _(it: Broken) -> None:
    it.lung.children[0][0x00041599] = Raw("OB", b"xx", 0x7FFFFFF0)
    it.optional = it.lung.children[:1]


@_case("records-overwritten-with-zeros", 46, Kind.BROKEN_LINK, Kind.UNLISTED_INSTANCE)
def _(it: Broken) -> None:
    _, two, three = it.lung.children

    def damage(layout: Layout) -> bytes:
        start, end = layout.offsets[two], layout.offsets[three] + 50
        return layout.data[:start] + bytes(end - start) + layout.data[end:]

    it.damage = damage
    it.lost = [two, three]


for _number in range(2):

    @_case(f"zeros-for-sector-{_number}", 46, Kind.INDEX_UNREADABLE, Kind.LOST_RECORDS)
    def _(it: Broken, at: int = _number * _SECTOR) -> None:
        # As programs write them that rescue a disc.
        def damage(layout: Layout) -> bytes:
            zeros = bytes(_SECTOR)[: len(layout.data) - at]
            return layout.data[:at] + zeros + layout.data[at + len(zeros) :]

        it.damage = damage


# Where it is cut off, and how many images are lost.
_CUTS: Final[dict[str, tuple[Callable[[Broken, Layout], int], int]]] = {
    "in-the-last-image": (lambda it, at: at.offsets[it.left.children[-1]] + 40, 1),
    "in-a-study": (lambda it, at: at.offsets[it.knee] + 90, 2),
    "between-two-images": (lambda it, at: at.offsets[it.skull.children[1]], 4),
    "behind-the-first-series": (lambda it, at: at.offsets[it.bone], 7),
}

for _name, (_where, _lost) in _CUTS.items():

    @_case(f"cut-off-{_name}", 46, Kind.INDEX_CUT_OFF, Kind.UNLISTED_INSTANCE)
    def _(
        it: Broken,
        where: Callable[[Broken, Layout], int] = _where,
        lost: int = _lost,
    ) -> None:
        it.damage = lambda layout: layout.data[: where(it, layout)]
        it.lost = it.images[-lost:]


@_case("elements-out-of-order", 47)
def _(it: Broken) -> None:
    it.options["element_order"] = reversed


@_case("group-lengths", 48)
def _(it: Broken) -> None:
    for each in it.records:
        for tag in (0x00040000, 0x00080000, 0x00100000, 0x00200000):
            each[tag] = 0


@_case("private-groups-in-front", 48)
def _(it: Broken) -> None:
    for each in it.records:
        each[0x00030010] = each[0x00070010] = "LOW"
        each[0x00031001] = Raw("LO", b"in front of the links ")


# The term, the name as it is written, what is shown, and what is found.
_CHARACTER_SETS: Final[dict[str, tuple[Value, bytes, str, tuple[Kind, ...]]]] = {
    "absent-and-latin-1": (OMIT, b"M\xfcller^Jane", "Müller", (Kind.CHARACTER_SET,)),
    "absent-and-utf-8": (OMIT, "Müller^Jane".encode(), "Müller", (Kind.CHARACTER_SET,)),
    "wrong": ("ISO_IR 192", b"M\xfcller^Jane", "Müller", (Kind.CHARACTER_SET,)),
    "unknown": (
        "ISO_IR 999",
        b"Muller^Jane",
        "Muller",
        (Kind.UNKNOWN_CHARACTER_SET,),
    ),
    "unknown-and-utf-8": (
        "ISO_IR 999",
        "Müller^Jane".encode(),
        "Müller",
        (Kind.CHARACTER_SET,),
    ),
    "misspelt": ("ISO-IR 100", b"M\xfcller^Jane", "Müller", ()),
}

for _name, (_term, _bytes, _shown, _kinds) in _CHARACTER_SETS.items():

    @_case(f"character-set-{_name}", 49, *_kinds)
    def _(
        it: Broken, term: Value = _term, name: bytes = _bytes, shown: str = _shown
    ) -> None:
        it.jane["SpecificCharacterSet"], it.jane["PatientName"] = term, name
        it.names[it.jane] = f"{shown}, Jane (4711)"


@_case("character-set-only-of-the-patient", 49)
def _(it: Broken) -> None:
    it.jane["SpecificCharacterSet"], it.jane["PatientName"] = (
        "ISO_IR 100",
        "Müller^Jane",
    )
    it.thorax["StudyDescription"] = "Schädel".encode("latin-1")
    it.names = {it.jane: "Müller, Jane (4711)", it.thorax: "2023-07-05 Schädel"}


@_case("2000-images-in-a-series", 51)
def _(it: Broken) -> None:
    it.lung.children = _images("1.2.1.1", 2000)


# -- DICOMDIRs without any record that is of use ---------------------------------------


def _cms(content_type: int, length: bytes) -> bytes:
    """Return the beginning of a CMS object (RFC 5652): 2 is signed, 3 enveloped."""
    oid = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07" + bytes([content_type])
    return b"\x30" + length + oid + b"\xa0\x80\x30\x80" + bytes(range(256)) * 16


_DIRECTORY: Final = uid.MediaStorageDirectoryStorage
# The file itself, or what is left of it; how commands end, and what they say.
_USELESS: Final[
    dict[str, tuple[int, bytes | Callable[[Layout], bytes], Problem, str]]
] = {
    "encrypted": (
        50,
        _cms(3, b"\x82\x10\x20"),
        Problem.DICOMDIR_ENCRYPTED,
        "encrypted",
    ),
    "encrypted-as-a-stream": (
        50,
        _cms(3, b"\x80"),
        Problem.DICOMDIR_ENCRYPTED,
        "encrypted",
    ),
    "signed": (50, _cms(2, b"\x82\x10\x20"), Problem.DICOMDIR_SIGNED, "signed"),
    "empty": (50, b"", Problem.DICOMDIR_EMPTY, "empty"),
    "text": (
        50,
        b"No DICOM at all.\r\n" * 40,
        Problem.NOT_DICOM,
        "not in DICOM format",
    ),
    "zeros": (50, bytes(5000), Problem.NOT_DICOM, "not in DICOM format"),
    "an-image": (
        44,
        instance_bytes(SOPClassUID=_DIRECTORY),
        Problem.NOT_DICOM,
        "no directory",
    ),
    "cut-off-in-its-header": (
        46,
        lambda layout: layout.data[:200],
        Problem.NOT_DICOM,
        "no directory",
    ),
    "cut-off-in-its-first-record": (
        46,
        lambda layout: layout.data[: min(layout.offsets.values()) + 4],
        Problem.DICOMDIR_BROKEN,
        "no directory record is left",
    ),
}

for _name, (_entry, _data, _problem, _says) in _USELESS.items():

    @_case(f"dicomdir-is-{_name}", _entry)
    def _(
        it: Broken,
        data: bytes | Callable[[Layout], bytes] = _data,
        failure: Problem = _problem,
        says: str = _says,
    ) -> None:
        it.damage = data if callable(data) else lambda _: data
        it.lost = it.roots
        it.failure, it.says = failure, says
