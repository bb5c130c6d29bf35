"""Headers with odd elements, read by pydicom, DCMTK and GDCM: dicomfs reads no less.

Wherever one of them reads what a header says of itself, dicomfs reads the same; and
where dicomfs reads something, it is what the header says.
"""

import io
import re
import struct
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pydicom
import pytest

from dicomfs.check.inspection import Encoding, encoding_of
from dicomfs.dicom import tags
from dicomfs.dicom.header import read_header
from dicomfs.source.source import BytesSource
from tests.build.oddities import ODD, element
from tests.support.amounts import part_of
from tests.support.mounting import need

pytestmark = [pytest.mark.counted, pytest.mark.slow]

_COUNT: Final = part_of(2_000)
# GDCM hangs over every third of them, and so fewer are asked.
_ASKED: Final = {"dcmdump": part_of(300), "gdcmdump": part_of(40, 20)}
_PATIENCE: Final = 1.0
# Two odd elements side by side can be read in several ways; then nothing is guessed.
_MOST_MISSED: Final = 0.005
_SEED: Final = 20261129
_CT: Final = b"1.2.840.10008.5.1.4.1.1.2"
_WANTED: Final = (
    tags.SOP_INSTANCE_UID,
    tags.PATIENT_ID,
    tags.STUDY_INSTANCE_UID,
    tags.SERIES_INSTANCE_UID,
    tags.INSTANCE_NUMBER,
)
Said = dict[int, bytes]


class Made(NamedTuple):
    """A file, what its header says, and which odd elements it has."""

    data: bytes
    truth: Said
    odd: tuple[str, ...]


def made(seed: int) -> Made:
    random = Random(seed)
    truth: Said = {
        tags.SOP_INSTANCE_UID: b"2.25.%d" % random.randrange(10**20),
        tags.PATIENT_ID: b"%06d" % random.randrange(10**6),
        tags.STUDY_INSTANCE_UID: b"2.25.%d" % random.randrange(10**20),
        tags.SERIES_INSTANCE_UID: b"2.25.%d" % random.randrange(10**20),
        tags.INSTANCE_NUMBER: b"%d" % random.randrange(1, 1000),
    }
    vrs = {tags.PATIENT_ID: "LO", tags.INSTANCE_NUMBER: "IS"}
    elements = {
        0x00080005: element(0x00080005, "CS", b"ISO_IR 100"),
        0x00080016: element(0x00080016, "UI", _CT + b"\0"),
        0x00080020: element(0x00080020, "DA", b"20230705"),
        0x00080060: element(0x00080060, "CS", b"CT"),
        0x0008103E: element(0x0008103E, "LO", b"Lung"),
        0x00100010: element(0x00100010, "PN", b"Doe^Jane"),
        0x00180050: element(0x00180050, "DS", b"1.0"),
        0x00200011: element(0x00200011, "IS", b"2"),
        0x00280010: element(0x00280010, "US", b"\1\0"),
        0x7FE00010: element(0x7FE00010, "OW", bytes(64)),
    }
    for tag, value in truth.items():
        vr = vrs.get(tag, "UI")
        padding = b"\0" if vr == "UI" and len(value) % 2 else b""
        elements[tag] = element(tag, vr, value + padding)
    odd = random.sample(sorted(ODD), random.choice((1, 1, 2)))
    for name in odd:
        after = random.choice([tag for tag in sorted(elements) if tag < 0x00280000])
        elements.setdefault(after + 1, ODD[name](after + 1))
    body = b"".join(elements[tag] for tag in sorted(elements))
    return Made(_meta(truth[tags.SOP_INSTANCE_UID]) + body, truth, tuple(odd))


def _meta(uid: bytes) -> bytes:
    uid += b"\0" * (len(uid) % 2)
    group = (
        element(0x00020001, "OB", b"\0\1")
        + element(0x00020002, "UI", _CT + b"\0")
        + element(0x00020003, "UI", uid)
        + element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
        + element(0x00020012, "UI", b"2.25.1")
    )
    length = element(0x00020000, "UL", struct.pack("<L", len(group)))
    return bytes(128) + b"DICM" + length + group


def dicomfs_reads(data: bytes) -> Said:
    header = read_header(BytesSource(data))
    return {tag: value for tag in _WANTED if (value := header.raw(tag))}


def pydicom_reads(data: bytes) -> Said:
    found: Said = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        except Exception:  # noqa: BLE001 - of whatever kind it is: it reads nothing
            return {}
        for tag in _WANTED:
            try:
                found[tag] = str(dataset[tag].value).encode()
            except Exception:  # noqa: BLE001 - the same for one element
                continue
    return found


_DUMPED: Final = re.compile(
    rb"^\(([0-9a-f]{4}),([0-9a-f]{4})\) [A-Z?]{2} (?:\d+ )?\[([^\]]*)\]", re.MULTILINE
)


def dumped(text: bytes) -> Said:
    """Return what a dump of the outermost elements says."""
    found = {
        int(group + number, 16): value.strip(b" \0")
        for group, number, value in _DUMPED.findall(text)
    }
    return {tag: found[tag] for tag in _WANTED if tag in found}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Made]]:
    need("dcmdump", "gdcmdump")
    folder = tmp_path_factory.mktemp("odd")
    return [*_written(folder)]


def _written(folder: Path) -> Iterator[tuple[Path, Made]]:
    for number in range(_COUNT):
        each = made(_SEED + number)
        path = folder / f"{number:05d}"
        path.write_bytes(each.data)
        yield path, each


def judged(files: list[tuple[Path, Made]], judge: str) -> list[Said]:
    """Return what *judge* reads in each of *files*."""
    if judge == "pydicom":
        return [pydicom_reads(each.data) for _, each in files]
    options = {"dcmdump": ["-q", "+L", "-Un"], "gdcmdump": []}[judge]
    asked = files[: _ASKED[judge]]
    return [dumped(_told([judge, *options, str(path)])) for path, _ in asked]


def _told(command: list[str]) -> bytes:
    """Return what *command* prints, nothing if it takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout


def test_what_dicomfs_reads_is_what_the_header_says(
    files: list[tuple[Path, Made]],
) -> None:
    wrong = [
        (each.odd, tag, value)
        for _, each in files
        for tag, value in dicomfs_reads(each.data).items()
        if value != each.truth[tag]
    ]

    assert wrong[:5] == []


@pytest.mark.parametrize("judge", ["pydicom", "dcmdump", "gdcmdump"])
def test_dicomfs_reads_wherever_another_reads_or_says_why_not(
    files: list[tuple[Path, Made]], judge: str
) -> None:
    counts = Counter[str]()
    missed, unsaid = 0, []
    told = judged(files, judge)
    for (_, each), theirs in zip(files, told, strict=False):
        ours = dicomfs_reads(each.data)
        counts["dicomfs"] += ours == each.truth
        counts[judge] += theirs == each.truth
        right = {tag for tag, value in theirs.items() if value == each.truth[tag]}
        missed += not right <= set(ours)
        if not right <= set(ours) and not is_remarked(each.data):
            unsaid.append((each.odd, right - set(ours)))

    assert unsaid[:5] == []
    assert missed <= len(told) * _MOST_MISSED
    assert counts["dicomfs"] > counts[judge]


def is_remarked(data: bytes) -> bool:
    """Whether a check says that the data set is not encoded as it should be."""
    return encoding_of(BytesSource(data)) is not Encoding.USUAL
