"""Build small DICOM media with any content, sound or broken, and one very large one.

Nothing here uses the code under test, nor any DICOM writer: bytes are put together
from the standard, so that each one can be made wrong on purpose.

* A str is text: encoded in the record's own Specific Character Set, padded to even
  length. A non-ASCII str without a character set that can hold it is an error.
* bytes are written as they are, padded to even length; `Raw` is not even padded.
* None writes the element empty, OMIT leaves it out.
* In a File ID given as str, "/" stands for the separator; in bytes nothing does.
"""

import hashlib
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from itertools import chain, count, pairwise
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias, TypedDict, Unpack

from pydicom import uid
from pydicom.charset import convert_encodings, encode_string, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.valuerep import PersonName


class Mark(Enum):
    """Say what no value can say."""

    OMIT = "leave the element out"
    AUTO = "write what is true"


OMIT: Final = Mark.OMIT
AUTO: Final = Mark.AUTO


@dataclass(frozen=True, slots=True)
class Raw:
    """Write exactly this VR and these bytes, and *length* even where it is a lie."""

    vr: str
    data: bytes = b""
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """Write a nested sequence with length forms of its own."""

    items: Sequence["Attributes"]
    undefined_sequence: bool = False
    undefined_items: bool = False


Value: TypeAlias = (
    "str | bytes | int | float | Mark | Raw | Items | Record"
    " | Sequence[Value] | Attributes | None"
)
Attributes: TypeAlias = (
    "Mapping[str, Value] | Mapping[int, Value] | Mapping[str | int, Value]"
)

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
IN_USE: Final = 0xFFFF
INACTIVE: Final = 0
NO_RECORD: Final = 0  # PS3.3 F.3.2.2: zero means no such record
PREFIX: Final = bytes(128) + b"DICM"
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD

_GROUP_LENGTH: Final = 0x00020000
_CHARACTER_SET: Final = 0x00080005
_FIRST: Final = 0x00041200
_LAST: Final = 0x00041202
_RECORDS: Final = 0x00041220
_NEXT: Final = 0x00041400
_IN_USE: Final = 0x00041410
_LOWER: Final = 0x00041420
_TYPE: Final = 0x00041430
_FILE_ID: Final = 0x00041500
_SOP_CLASS: Final = 0x00041510
_SOP_INSTANCE: Final = 0x00041511
_TRANSFER_SYNTAX: Final = 0x00041512

_LONG_VRS: Final = frozenset(
    ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
)
_NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_AMBIGUOUS: Final = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW"}
_NATIVE: Final = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
_UIDS: Final = "2.25.8"  # the root of every UID made up here


# -- records -------------------------------------------------------------------------


@dataclass(eq=False, slots=True, kw_only=True)
class Record:
    """One directory record, and the file it refers to; all of it may be changed."""

    record_type: Value
    children: list["Record"] = field(default_factory=list, repr=False)
    attributes: dict[int, Value] = field(default_factory=dict)
    # the elements each record has; *next* and *lower* may name a record or a number
    file: Value = OMIT
    in_use: Value = IN_USE
    next: Value = field(default=AUTO, repr=False)
    lower: Value = field(default=AUTO, repr=False)
    # how the Item is written
    undefined_length: bool | None = None
    length_error: int = 0
    tail: bytes = b""
    # the file: where it is, None for nowhere, and what is in it
    path: str | Mark | None = AUTO
    header: dict[int, Value] = field(default_factory=dict)
    size: int | None = None
    content: bytes | None = None

    def __getitem__(self, key: str | int) -> Value:
        return self.attributes[_tag(key)]

    def __setitem__(self, key: str | int, value: Value) -> None:
        self.attributes[_tag(key)] = value

    def say(self, **header: Value) -> None:
        """Let the headers of its file and of those below have these elements."""
        self.header.update(_by_tag(header))


_FIELDS: Final = frozenset(f.name for f in fields(Record))


def record(
    record_type: Value, /, children: Iterable[Record] = (), **more: Value
) -> Record:
    """Return a record; *more* are its fields, or elements by DICOM keyword."""
    made = Record(record_type=record_type, children=list(children))
    for name, value in more.items():
        if name in ("attributes", "header"):
            assert isinstance(value, Mapping)
            getattr(made, name).update(_by_tag(value))
        elif name in _FIELDS:
            setattr(made, name, value)
        else:
            made[name] = value
    return made


def patient(
    name: Value, patient_id: Value, children: Iterable[Record] = (), **more: Value
) -> Record:
    """Return a PATIENT record."""
    keys: dict[str, Value] = {"PatientName": name, "PatientID": patient_id}
    return record("PATIENT", children, **(keys | more))


def study(
    study_uid: Value,
    children: Iterable[Record] = (),
    *,
    date: Value = "20230705",
    time: Value = "120000",
    description: Value = None,
    **more: Value,
) -> Record:
    """Return a STUDY record with all its keys."""
    keys: dict[str, Value] = {
        "StudyDate": date,
        "StudyTime": time,
        "AccessionNumber": None,
        "StudyDescription": description,
        "StudyInstanceUID": study_uid,
        "StudyID": "1",
    }
    return record("STUDY", children, **(keys | more))


def series(
    series_uid: Value,
    children: Iterable[Record] = (),
    *,
    number: Value = 1,
    modality: Value = "CT",
    description: Value = OMIT,
    header_description: Value = AUTO,
    **more: Value,
) -> Record:
    """Return a SERIES record; *header_description* is what its files have instead."""
    keys: dict[str, Value] = {
        "Modality": modality,
        "SeriesDescription": description,
        "SeriesInstanceUID": series_uid,
        "SeriesNumber": number,
    }
    made = record("SERIES", children, **(keys | more))
    if header_description is not AUTO:
        made.header[_tag("SeriesDescription")] = header_description
    return made


def leaf(
    record_type: str,
    sop_uid: Value,
    /,
    children: Iterable[Record] = (),
    *,
    number: Value = 1,
    file: Value = AUTO,
    **more: Value,
) -> Record:
    """Return a record of an instance; without *file* it gets a File ID of its own."""
    if file is AUTO:
        digest = hashlib.sha256(f"{sop_uid!r} {number!r}".encode()).hexdigest()
        file = f"IMAGES/{digest[:8].upper()}"
    keys: dict[str, Value] = {
        "file": file,
        "ReferencedSOPClassUIDInFile": SOP_CLASSES.get(record_type, uid.RawDataStorage),
        "ReferencedSOPInstanceUIDInFile": sop_uid,
        "ReferencedTransferSyntaxUIDInFile": uid.ExplicitVRLittleEndian,
        "InstanceNumber": number,
    }
    return record(record_type, children, **(keys | more))


def image(sop_uid: Value, children: Iterable[Record] = (), **more: Value) -> Record:
    """Return an IMAGE record: a leaf whose file has pixels."""
    return leaf("IMAGE", sop_uid, children, **({"size": 256} | more))


SOP_CLASSES: Final[dict[str, str]] = {
    "IMAGE": uid.CTImageStorage,
    "SR DOCUMENT": uid.BasicTextSRStorage,
    "KEY OBJECT DOC": uid.KeyObjectSelectionDocumentStorage,
    "PRESENTATION": uid.GrayscaleSoftcopyPresentationStateStorage,
    "ENCAP DOC": uid.EncapsulatedPDFStorage,
    "WAVEFORM": uid.TwelveLeadECGWaveformStorage,
    "RT DOSE": uid.RTDoseStorage,
    "RT PLAN": uid.RTPlanStorage,
    "RT STRUCTURE SET": uid.RTStructureSetStorage,
    "HANGING PROTOCOL": uid.HangingProtocolStorage,
}


def code(value: str, scheme: str, meaning: str) -> list[dict[str, Value]]:
    """Return a code sequence, such as a concept name."""
    return [
        {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    ]


def icon(side: int = 2) -> list[dict[str, Value]]:
    """Return an Icon Image Sequence of *side* times *side* pixels."""
    return [{**_image_attributes(side), "PixelData": Raw("OB", bytes(side * side))}]


# -- elements ------------------------------------------------------------------------


def _tag(key: str | int) -> int:
    """Return the tag of a DICOM keyword."""
    tag = tag_for_keyword(key) if isinstance(key, str) else key
    if tag is None:
        raise ValueError(f"{key} is neither a field nor a DICOM keyword")
    return tag


def _by_tag(attributes: Attributes) -> dict[int, Value]:
    """Return *attributes* with tags for keywords."""
    return {_tag(key): value for key, value in attributes.items()}


def _vr(tag: int, value: Value) -> str:
    """Return the VR that the standard gives the element."""
    if isinstance(value, Items) or _items_of(value):
        return "SQ"
    if tag & 0xFFFF == 0:
        return "UL"  # group length
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return "UN"
    return _AMBIGUOUS.get(vr, vr)


def _items_of(value: Value) -> list[Attributes]:
    """Return the items of a nested sequence; none if *value* is not one."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def _encodings(character_set: Value) -> list[str]:
    """Return the Python encodings of a Specific Character Set."""
    data = character_set.data if isinstance(character_set, Raw) else character_set
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    terms = text.split("\\") if isinstance(text, str) else text
    if not isinstance(terms, list | tuple):
        return ["ascii"]
    if not all(isinstance(term, str) and term in python_encoding for term in terms):
        return ["ascii"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # combinations that the standard forbids
        return convert_encodings([str(term) for term in terms])


def _encode(text: str, vr: str, encodings: list[str]) -> bytes:
    """Encode *text*, or raise ValueError if *encodings* cannot hold it."""
    if text.isascii():
        return text.encode("ascii")
    if encodings == ["ascii"]:
        raise ValueError(f"{text!r} needs a Specific Character Set, or give bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            if vr == "PN":
                return PersonName(text, encodings).encode(encodings)
            return encode_string(text, encodings)
        except UserWarning as problem:
            raise ValueError(f"{text!r} does not fit {encodings}") from problem


def _even(data: bytes, vr: str) -> bytes:
    """Pad *data* to even length as its VR wants it."""
    pad = b"\0" if vr in ("UI", "OB", "UN") else b" "
    return data + pad[: len(data) % 2]


ElementOrder: TypeAlias = Callable[[list[int]], Iterable[int]]


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Turn elements into bytes."""

    explicit: bool = True
    little_endian: bool = True
    undefined_sequences: bool = False
    undefined_items: bool = False
    order: ElementOrder = sorted
    encodings: tuple[str, ...] = ("ascii",)
    offsets: Mapping[Record, int] = field(default_factory=dict)

    def dataset(self, elements: Mapping[int, Value]) -> bytes:
        """Encode *elements* in order, in their own character set if they name one."""
        encoder = self
        if (character_set := elements.get(_CHARACTER_SET, OMIT)) is not OMIT:
            encoder = replace(self, encodings=tuple(_encodings(character_set)))
        tags = sorted(tag for tag, value in elements.items() if value is not OMIT)
        return b"".join(encoder.element(tag, elements[tag]) for tag in self.order(tags))

    def element(self, tag: int, value: Value) -> bytes:
        """Encode one element."""
        if isinstance(value, Raw):
            length = len(value.data) if value.length is None else value.length
            return self.header(tag, value.vr, length) + value.data
        vr = _vr(tag, value)
        if vr == "SQ":
            return self.nested(tag, value)
        data = self.value(vr, value)
        return self.header(tag, vr, len(data)) + data

    def header(self, tag: int, vr: str | None, length: int) -> bytes:
        """Encode tag, VR and length; an Item and its like have no VR."""
        order = "<" if self.little_endian else ">"
        start = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if vr is None or not self.explicit:
            return start + struct.pack(f"{order}L", length)
        start += vr.encode("ascii")
        if vr in _LONG_VRS:
            return start + struct.pack(f"{order}HL", 0, length)
        return start + struct.pack(f"{order}H", length)

    def value(self, vr: str, value: Value) -> bytes:
        """Encode a value of any VR but SQ."""
        if value is None:
            return b""
        if isinstance(value, bytes):
            return _even(value, vr)
        if isinstance(value, Record):
            value = self.offsets[value]
        values = value if isinstance(value, list | tuple) else [value]
        if vr in _NUMBERS:
            byte_order = "<" if self.little_endian else ">"
            return struct.pack(f"{byte_order}{len(values)}{_NUMBERS[vr]}", *values)
        return _even(b"\\".join(self.text(vr, one) for one in values), vr)

    def text(self, vr: str, value: Value) -> bytes:
        """Encode one of the values of a text VR."""
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str | int | float):
            raise TypeError(f"{value!r} is no {vr} value")
        return _encode(str(value), vr, list(self.encodings))

    def nested(self, tag: int, value: Value) -> bytes:
        """Encode a sequence inside a record or an instance."""
        if not isinstance(value, Items):
            own = (self.undefined_sequences, self.undefined_items)
            value = Items(_items_of(value), *own)
        items = [
            self.item(self.dataset(_by_tag(item)), value.undefined_items)
            for item in value.items
        ]
        return self.sequence(tag, b"".join(items), value.undefined_sequence)

    def item(self, content: bytes, undefined: bool, length_error: int = 0) -> bytes:
        """Wrap *content* as an Item."""
        if undefined:
            end = self.header(ITEM_END, None, 0)
            return self.header(ITEM, None, UNDEFINED_LENGTH) + content + end
        return self.header(ITEM, None, len(content) + length_error) + content

    def sequence(
        self, tag: int, content: bytes, undefined: bool, length_error: int = 0
    ) -> bytes:
        """Wrap Items as a sequence."""
        if undefined:
            end = self.header(SEQUENCE_END, None, 0)
            return self.header(tag, "SQ", UNDEFINED_LENGTH) + content + end
        return self.header(tag, "SQ", len(content) + length_error) + content


def element_bytes(
    key: str | int, value: Value, *, explicit: bool = True, little_endian: bool = True
) -> bytes:
    """Return one encoded element, for use as a record's *tail* or in trailing bytes."""
    return _Encoder(explicit, little_endian).element(_tag(key), value)


def _meta(known: Mapping[str, Value], changes: Attributes) -> bytes:
    """Return the File Meta Information, always explicit VR little endian."""
    elements: dict[int, Value] = _by_tag(
        {
            "FileMetaInformationVersion": b"\0\1",
            "ImplementationClassUID": f"{_UIDS}.1",
            "ImplementationVersionName": "MEDIUM_BUILDER",
        }
    )
    elements |= _by_tag(known) | _by_tag(changes)
    length = elements.pop(_GROUP_LENGTH, AUTO)
    body = _Encoder().dataset(elements)
    if length is AUTO:
        length = len(body)
    return _Encoder().dataset({_GROUP_LENGTH: length}) + body


# -- the DICOMDIR --------------------------------------------------------------------

LinkHook: TypeAlias = Callable[[Record, int, int], tuple[Value, Value]]


class Options(TypedDict, total=False):
    """Say how a DICOMDIR is written; the defaults make a sound one."""

    explicit: bool
    little_endian: bool
    # length forms, nested sequences included; a record's *undefined_length* comes first
    undefined_sequences: bool
    undefined_items: bool
    sequence_length_error: int
    # both get ascending or depth-first order and return another; `reversed` will do
    record_order: Callable[[list[Record]], Iterable[Record]]
    element_order: ElementOrder
    # what comes before and after: no prefix is b"", no meta information is None
    prefix: bytes
    meta: "Attributes | None"
    top_level: Attributes
    trailing: bytes
    # what the root names, and a hook from the true links to the written ones
    first: Value
    last: Value
    links: LinkHook
    # records that are in the sequence, but in no list of siblings
    unlinked: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Layout:
    """The bytes of a DICOMDIR and where in them each record is."""

    data: bytes
    offsets: dict[Record, int]


def build_dicomdir(medium: Iterable[Record], **options: Unpack[Options]) -> bytes:
    """Return the bytes of the DICOMDIR with these root records."""
    return build_layout(medium, **options).data


def build_layout(medium: Iterable[Record], **options: Unpack[Options]) -> Layout:
    """Return the DICOMDIR with these root records and the offsets of all records."""
    plan = _Plan(list(medium), **options)
    records = plan.in_file_order()
    offsets = {each: 0x10000 + index for index, each in enumerate(records)}
    # A link that is written only when non-zero moves the records: go on till they rest.
    for _ in range(10):
        layout = plan.write(offsets)
        if layout.offsets == offsets:
            return layout
        offsets = layout.offsets
    raise ValueError("the links move the records each time they are written")


def depth_first(medium: Iterable[Record]) -> list[Record]:
    """Return all records, each one followed by what is below it."""
    found: dict[Record, None] = {}
    waiting = list(medium)[::-1]
    while waiting:
        each = waiting.pop()
        if each in found:
            raise ValueError(f"{each!r} is in two places; use next and lower for that")
        found[each] = None
        waiting += each.children[::-1]
    return list(found)


def breadth_first(records: Iterable[Record]) -> list[Record]:
    """Return *records* level by level."""
    records = list(records)
    below = {child for each in records for child in each.children}
    level = [each for each in records if each not in below]
    ordered: list[Record] = []
    while level:
        ordered += level
        level = [child for each in level for child in each.children]
    return ordered


def _no_change(_record: Record, following: int, lower: int) -> tuple[Value, Value]:
    """Return the true links."""
    return following, lower


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that decides about the bytes of a DICOMDIR; see Options."""

    roots: list[Record]
    explicit: bool = True
    little_endian: bool = True
    undefined_sequences: bool = False
    undefined_items: bool = False
    sequence_length_error: int = 0
    record_order: Callable[[list[Record]], Iterable[Record]] = list
    element_order: ElementOrder = list
    prefix: bytes = PREFIX
    meta: "Attributes | None" = field(default_factory=dict)
    top_level: Attributes = field(default_factory=dict)
    trailing: bytes = b""
    first: Value = AUTO
    last: Value = AUTO
    links: LinkHook = _no_change
    unlinked: Sequence[Record] = ()

    def in_file_order(self) -> list[Record]:
        """Return all records as they come in the file."""
        records = depth_first([*self.roots, *self.unlinked])
        ordered = list(self.record_order(records))
        if set(ordered) != set(records) or len(ordered) != len(records):
            raise ValueError("record_order must return each record once")
        return ordered

    def write(self, offsets: Mapping[Record, int]) -> Layout:
        """Encode everything as if the records were at *offsets*, and say where."""
        encoder = self.encoder(offsets)
        data = bytearray(self.prefix + self.meta_bytes())
        found: dict[Record, int] = {}
        for tag, value in sorted(self.top_elements().items()):
            if tag != _RECORDS or value is not AUTO:
                data += encoder.dataset({tag: value})
                continue
            items = self.items(encoder)
            start = len(data) + len(encoder.header(tag, "SQ", 0))
            for each, item in items.items():
                found[each] = start
                start += len(item)
            data += encoder.sequence(
                tag,
                b"".join(items.values()),
                self.undefined_sequences,
                self.sequence_length_error,
            )
        return Layout(bytes(data) + self.trailing, found)

    def encoder(self, offsets: Mapping[Record, int]) -> _Encoder:
        """Return what encodes the data set."""
        return _Encoder(
            self.explicit,
            self.little_endian,
            self.undefined_sequences,
            self.undefined_items,
            self.element_order,
            offsets=offsets,
        )

    def meta_bytes(self) -> bytes:
        """Return the File Meta Information, if there is to be any."""
        if self.meta is None:
            return b""
        known: dict[str, Value] = {
            "MediaStorageSOPClassUID": uid.MediaStorageDirectoryStorage,
            "MediaStorageSOPInstanceUID": f"{_UIDS}.2",
            "TransferSyntaxUID": transfer_syntax(self.explicit, self.little_endian),
        }
        return _meta(known, self.meta)

    def top_elements(self) -> dict[int, Value]:
        """Return what is beside the records, and AUTO for these."""
        first, last = self.first, self.last
        if first is AUTO:
            first = self.roots[0] if self.roots else NO_RECORD
        if last is AUTO:
            last = self.roots[-1] if self.roots else NO_RECORD
        elements: dict[int, Value] = {_FIRST: first, _LAST: last, _RECORDS: AUTO}
        known: dict[str, Value] = {"FileSetID": "TEST", "FileSetConsistencyFlag": 0}
        return elements | _by_tag(known) | _by_tag(self.top_level)

    def items(self, encoder: _Encoder) -> dict[Record, bytes]:
        """Return the Item of each record, in file order."""
        following = _following(self.roots, depth_first([*self.roots, *self.unlinked]))
        return {
            each: self.item(encoder, each, following.get(each))
            for each in self.in_file_order()
        }

    def item(self, encoder: _Encoder, each: Record, following: Record | None) -> bytes:
        """Return the Item of one record."""
        lower = each.children[0] if each.children else None
        true = [encoder.offsets[to] if to else NO_RECORD for to in (following, lower)]
        next_link, lower_link = self.links(each, true[0], true[1])
        elements: dict[int, Value] = {
            _NEXT: next_link if each.next is AUTO else each.next,
            _IN_USE: each.in_use,
            _LOWER: lower_link if each.lower is AUTO else each.lower,
            _TYPE: each.record_type,
            _FILE_ID: _file_id(each.file),
        }
        content = encoder.dataset(elements | each.attributes) + each.tail
        undefined = each.undefined_length
        if undefined is None:
            undefined = self.undefined_items
        return encoder.item(content, undefined, each.length_error)


def _following(roots: list[Record], records: list[Record]) -> dict[Record, Record]:
    """Return the next sibling of each record that has one."""
    lists = [roots, *(each.children for each in records)]
    return {one: other for siblings in lists for one, other in pairwise(siblings)}


def _file_id(file: Value) -> Value:
    """Return *file* with the separator of the standard."""
    return file.replace("/", "\\") if isinstance(file, str) else file


def transfer_syntax(explicit: bool, little_endian: bool) -> str:
    """Return the transfer syntax UID of an encoding."""
    if not little_endian:
        return uid.ExplicitVRBigEndian
    return uid.ExplicitVRLittleEndian if explicit else uid.ImplicitVRLittleEndian


# -- instances -----------------------------------------------------------------------


def instance_bytes(
    attributes: "Attributes | None" = None,
    *,
    syntax: str = uid.ExplicitVRLittleEndian,
    size: int | None = 256,
    **more: Value,
) -> bytes:
    """Return a small DICOM file with *size* bytes of pixels, or none if it is None.

    The pixels follow from the SOP Instance UID. In a transfer syntax with compressed
    pixels they are one fragment, which no decoder would take.
    """
    known: dict[str, Value] = {
        "SOPClassUID": uid.CTImageStorage,
        "SOPInstanceUID": f"{_UIDS}.3",
    }
    elements = _by_tag(known)
    if size is not None:
        elements |= _by_tag(_image_attributes(16))
    elements |= _by_tag(attributes or {}) | _by_tag(more)
    if size is not None:
        elements.setdefault(_tag("PixelData"), _pixels(elements, size, syntax))
    data = _instance_encoder(syntax).dataset(elements)
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = _even(deflate.compress(data) + deflate.flush(), "OB")
    meta: dict[str, Value] = {
        "MediaStorageSOPClassUID": elements[_tag("SOPClassUID")],
        "MediaStorageSOPInstanceUID": elements[_tag("SOPInstanceUID")],
        "TransferSyntaxUID": syntax,
    }
    return PREFIX + _meta(meta, {}) + data


def _instance_encoder(syntax: str) -> _Encoder:
    """Return what encodes a data set in this transfer syntax."""
    return _Encoder(
        explicit=syntax != uid.ImplicitVRLittleEndian,
        little_endian=syntax != uid.ExplicitVRBigEndian,
    )


def _image_attributes(side: int) -> dict[str, Value]:
    """Return what describes a grey picture of 8 bits a pixel."""
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": side,
        "Columns": side,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
    }


def _pixels(elements: Mapping[int, Value], size: int, syntax: str) -> Raw:
    """Return Pixel Data that differs from one SOP Instance UID to the next."""
    seed = repr(elements[_tag("SOPInstanceUID")]).encode()
    data = _even(hashlib.shake_256(seed).digest(size), "OB")
    if syntax in _NATIVE:
        return Raw("OB" if _instance_encoder(syntax).explicit else "OW", data)
    encoder = _Encoder()
    fragments = encoder.item(b"", undefined=False) + encoder.item(data, undefined=False)
    end = encoder.header(SEQUENCE_END, None, 0)
    return Raw("OB", fragments + end, UNDEFINED_LENGTH)


# -- the medium ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the DICOMDIR, and the file of each record that has one."""

    dicomdir: Path
    layout: Layout
    files: dict[Record, Path]


def write_medium(
    root: Path,
    medium: Iterable[Record],
    *,
    dicomdir: str = "DICOMDIR",
    rename: Callable[[str], str] = str,
    damage: Callable[[Layout], bytes] | None = None,
    **options: Unpack[Options],
) -> Written:
    """Write a DICOMDIR and every file it refers to below *root*.

    A file's name is its record's *path*, else what *rename* makes of the File ID.
    *damage* returns what is left of the DICOMDIR.
    """
    medium = list(medium)
    layout = build_layout(medium, **options)
    if damage is not None:
        layout = replace(layout, data=damage(layout))
    target = root / dicomdir
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(layout.data)
    records = depth_first([*medium, *options.get("unlinked", ())])
    parents = {child: each for each in records for child in each.children}
    files: dict[Record, Path] = {}
    written: set[Path] = set()
    for each in records:
        if (name := _path(each, rename)) is None:
            continue
        files[each] = path = root / name
        if path not in written:  # two records may refer to one file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_file_bytes(each, parents))
        written.add(path)
    return Written(target, layout, files)


def _path(each: Record, rename: Callable[[str], str]) -> str | None:
    """Return where the file of a record belongs, or None if it is not on the medium."""
    if isinstance(each.path, str) or each.path is None:
        return each.path
    file_id = each.file.data if isinstance(each.file, Raw) else each.file
    if isinstance(file_id, bytes):
        file_id = os.fsdecode(file_id.strip(b" \0"))
    if isinstance(file_id, list | tuple):
        file_id = "\\".join(str(component) for component in file_id)
    if not isinstance(file_id, str):
        return None
    components = [
        c for c in file_id.replace("\\", "/").split("/") if c not in ("", ".")
    ]
    if ".." in components:
        raise ValueError(f"{file_id!r} leaves the medium: give a path, or path=None")
    return rename("/".join(components)) if components else None


def _file_bytes(each: Record, parents: Mapping[Record, Record]) -> bytes:
    """Return the file of a record; its header says what the records above it say."""
    if each.content is not None:
        return each.content
    line = [each]
    while line[-1] in parents:
        line.append(parents[line[-1]])
    header: dict[int, Value] = {}
    for one in reversed(line):
        header |= {tag: v for tag, v in one.attributes.items() if _is_inherited(tag, v)}
        header |= one.header
    sop_instance = _value_or(each, _SOP_INSTANCE, _made_up_uid(each))
    known: dict[int, Value] = {
        _tag("SOPClassUID"): _value_or(each, _SOP_CLASS, uid.RawDataStorage),
        _tag("SOPInstanceUID"): sop_instance,
    }
    syntax = _value_or(each, _TRANSFER_SYNTAX, uid.ExplicitVRLittleEndian)
    if syntax not in uid.AllTransferSyntaxes:
        syntax = uid.ExplicitVRLittleEndian
    return instance_bytes(known | header, syntax=syntax, size=each.size)


def _is_inherited(tag: int, value: Value) -> bool:
    """Tell whether an instance has this element of its records."""
    return tag >> 16 != 4 and tag != _tag("IconImageSequence") and value is not OMIT


def _value_or(each: Record, tag: int, otherwise: str) -> str:
    """Return a text value of the record, or *otherwise* if it has none."""
    value = each.attributes.get(tag)
    return value if isinstance(value, str) and value else otherwise


def _made_up_uid(each: Record) -> str:
    """Return a SOP Instance UID that follows from the File ID."""
    digest = hashlib.sha256(repr(each.file).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:12])}"


# -- a very large medium -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """How many records of each kind a large medium has, and its DICOMDIR's size."""

    patients: int
    studies: int
    series: int
    images: int
    size: int


_LINKS_PER_FILE: Final = 30_000  # ext4 takes 65,000


def large_dicomdir(
    root: Path,
    *,
    records: int,
    patients: int = 1,
    images_per_series: int = 500,
    files: bool = False,
) -> Counts:
    """Write a DICOMDIR of exactly so many records, one study to a patient.

    With *files* every image has its file, all of them links to a few equal ones.
    """
    shares = _shares(records, patients, images_per_series)
    root.mkdir(parents=True, exist_ok=True)
    with (root / "DICOMDIR").open("wb") as out:
        _write_large(out, shares)
        size = out.tell()
    if files:
        _link_files(root, shares)
    images = sum(map(sum, shares))
    return Counts(patients, patients, sum(map(len, shares)), images, size)


def _shares(records: int, patients: int, images_per_series: int) -> list[list[int]]:
    """Return for each patient how many images each of its series has."""
    below = records - 2 * patients
    series_count = max(patients, -(-below // (images_per_series + 1)))
    images = below - series_count
    if patients < 1 or images < 0:
        raise ValueError(f"{records} records are too few for {patients} patients")
    sizes = _split(images, series_count)
    starts = iter(sizes)
    return [
        [next(starts) for _ in range(count)] for count in _split(series_count, patients)
    ]


def _split(total: int, parts: int) -> list[int]:
    """Split *total* into almost equal parts."""
    each, rest = divmod(total, parts)
    return [each + (index < rest) for index in range(parts)]


# An offset, a number for a name or UID, for a File ID, and for an IS, to fill in.
_HOLES: Final = {"@@@@": b"%b", "#" * 8: b"%08d", "$" * 7: b"%07d", "~" * 8: b"%-8d"}
_OFFSET, _NAME, _FILE, _NUMBER = _HOLES


class _Template:
    """The Item of a record with holes in it."""

    def __init__(self, each: Record) -> None:
        each["OffsetOfTheNextDirectoryRecord"] = _OFFSET.encode()
        each["OffsetOfReferencedLowerLevelDirectoryEntity"] = _OFFSET.encode()
        item = _Plan([]).item(_Encoder(), each, None)
        self.size = len(item)
        self.format = item.replace(b"%", b"%%")
        for hole, filler in _HOLES.items():
            self.format = self.format.replace(hole.encode(), filler)

    def fill(self, following: int, lower: int, *numbers: int) -> bytes:
        """Return the Item with these links and *numbers*."""
        return self.format % (_link(following), _link(lower), *numbers)


_link: Final = struct.Struct("<L").pack
_PATIENT: Final = _Template(patient(f"Large^Patient{_NAME}", f"ID{_NAME}"))
_STUDY: Final = _Template(study(f"{_UIDS}.4.1{_NAME}", description="Large study"))
_SERIES: Final = _Template(series(f"{_UIDS}.5.1{_NAME}", number=_NUMBER))
_IMAGE: Final = _Template(
    image(
        f"{_UIDS}.6.1{_NAME}.1{_NAME}",
        number=_NUMBER,
        file=f"DICOM/P{_FILE}/S{_FILE}/I{_FILE}",
    )
)


def _write_large(out: BinaryIO, shares: list[list[int]]) -> None:
    """Write the DICOMDIR, depth first."""
    sizes = [_patient_size(share) for share in shares]
    first = len(_large_head(0, 0, 0))
    last = first + sum(sizes[:-1])
    out.write(_large_head(first, last, sum(sizes)))
    numbers = count(1)
    at = first
    for number, (share, size) in enumerate(zip(shares, sizes, strict=True), 1):
        study_at = at + _PATIENT.size
        series_at = study_at + _STUDY.size
        following = NO_RECORD if at == last else at + size
        out.write(_PATIENT.fill(following, study_at, number, number))
        out.write(_STUDY.fill(NO_RECORD, series_at, number))
        _write_large_series(out, series_at, number, share, numbers)
        at += size


def _patient_size(share: list[int]) -> int:
    """Return how many bytes a patient with all below it takes."""
    above = _PATIENT.size + _STUDY.size
    return above + sum(_SERIES.size + images * _IMAGE.size for images in share)


def _large_head(first: int, last: int, length: int) -> bytes:
    """Return what comes before the first Item."""
    data = _Plan([], first=first, last=last).write({}).data
    return data[:-4] + _link(length)


def _write_large_series(
    out: BinaryIO,
    at: int,
    patient_number: int,
    share: list[int],
    numbers: Iterator[int],
) -> None:
    """Write the series of one patient and their images."""
    for index, images in enumerate(share, 1):
        number = next(numbers)
        start = at + _SERIES.size
        end = start + images * _IMAGE.size
        following = end if index < len(share) else NO_RECORD
        out.write(
            _SERIES.fill(following, start if images else NO_RECORD, number, index)
        )
        links = chain(range(start + _IMAGE.size, end, _IMAGE.size), [NO_RECORD])
        out.writelines(
            _IMAGE.fill(
                link,
                NO_RECORD,
                patient_number,
                number,
                image_number,
                number,
                image_number,
                image_number,
            )
            for image_number, link in zip(range(1, images + 1), links, strict=False)
        )
        at = end


def _link_files(root: Path, shares: list[list[int]]) -> None:
    """Give each image a file."""
    data = instance_bytes()
    source = root
    for index, path in enumerate(_image_paths(root, shares)):
        if index % _LINKS_PER_FILE == 0:
            source = path
            source.write_bytes(data)
        else:
            path.hardlink_to(source)


def _image_paths(root: Path, shares: list[list[int]]) -> Iterator[Path]:
    """Yield where each image's file belongs, and make its folder."""
    numbers = count(1)
    for patient_number, share in enumerate(shares, 1):
        for images, number in zip(share, numbers, strict=False):
            folder = root / f"DICOM/P{patient_number:07d}/S{number:07d}"
            folder.mkdir(parents=True)
            for image_number in range(1, images + 1):
                yield folder / f"I{image_number:07d}"
