"""`dicomfs check`: that it finds what is wrong, says where, and nothing else."""

import errno
import json
import os
import pty
import shutil
import subprocess
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Unpack

import pytest
from pydicom import uid

from dicomfs.check.check import check
from dicomfs.check.meter import Amount
from dicomfs.check.readability import BLOCK
from dicomfs.check.seen import Seen
from dicomfs.cli.codes import Exit
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.open import file_sets_of
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.media.medium import EntryType, Medium, Place, Status
from dicomfs.media.opening import open_sources
from dicomfs.source.source import Source
from dicomfs.tree.report import Report, Stage
from dicomfs.tree.verdict import Tally, Verdict, sentence
from tests.build.medium import (
    Options,
    Record,
    Written,
    image,
    instance_bytes,
    leaf,
    patient,
    series,
    study,
    write_medium,
)
from tests.support import mounting
from tests.support.mounting import IMPATIENT, PATIENCE, SAMPLES, dicomfs, until
from tests.support.trees import CountingMedium

WHERE: Final = ("Doe, Jane (12345)", "2023-07-05 CT Thorax", "002 CT Lung")
PAGE: Final = 4096


def slices(count: int, **more: Any) -> list[Record]:
    """Return the images of a series."""
    return [
        image(f"1.1.1.{number}", number=number, file=f"CT/I{number}", **more)
        for number in range(1, count + 1)
    ]


def ct(images: Iterable[Record], **more: Any) -> list[Record]:
    """Return a medium that has *images* in one series of one study."""
    lung = series("1.1.1", images, number=2, description="Lung")
    return [
        patient(
            "Doe^Jane", "12345", [study("1.1", [lung], description="CT Thorax")], **more
        )
    ]


def checked(source: Path | Medium, *, index_only: bool = False) -> Report:
    """Return the report on a medium."""
    medium = CountingMedium(source) if isinstance(source, Path) else source
    try:
        return check(open_file_sets(medium), index_only=index_only)
    finally:
        medium.close()


def check_medium(
    root: Path, medium: Iterable[Record], **options: Unpack[Options]
) -> Report:
    """Write *medium* to *root* and return the report on it."""
    write_medium(root, medium, **options)
    return checked(root)


def found(report: Report, kind: Kind) -> list[Finding]:
    return [each for each in report.findings if each.kind is kind]


def kinds(report: Report) -> Counter[str]:
    return Counter(each.kind.code for each in report.findings)


# -- sound media -----------------------------------------------------------------------


def test_a_sound_medium_has_no_findings(tmp_path: Path) -> None:
    report = check_medium(tmp_path, ct(slices(3)))

    assert report.findings == []
    assert report.is_complete
    assert [(each.stage, each.count) for each in report.progress] == [
        (Stage.INDEX, 6),
        (Stage.FOLDERS, 4),
        (Stage.FILES, 3),
        (Stage.MEDIUM, 2),
    ]


def test_the_sample_of_pydicom_has_what_it_has_each_time() -> None:
    reports = [checked(SAMPLES) for _ in range(2)]

    assert kinds(reports[0]) == {
        "missing-description": 2,
        "unlisted-instance": 1,
        "unlisted-file": 1,
        "index-beside": 1,  # that of TINY_ALPHA
    }
    assert found(reports[0], Kind.UNLISTED_INSTANCE)[0].count == 50
    assert reports[0] == reports[1]


# -- records ---------------------------------------------------------------------------


def test_missing_keys_are_counted_by_record_type(tmp_path: Path) -> None:
    images = slices(4)
    for each in images[:3]:
        each["InstanceNumber"] = None
    del images[0].attributes[0x00041511]
    medium = ct(images)
    medium[0].children[0]["StudyTime"] = None

    missing = found(check_medium(tmp_path, medium), Kind.MISSING_KEY)

    assert [
        (each.record_type, each.count, each.of, each.detail) for each in missing
    ] == [
        ("STUDY", 1, 1, "Study Time"),
        ("IMAGE", 3, 4, "Instance Number"),
        ("IMAGE", 1, 4, "Referenced SOP Instance UID in File"),
    ]


def test_missing_descriptions_are_remarks(tmp_path: Path) -> None:
    medium = [patient("Doe^Jane", "1", [study("1.1", [series("1.1.1", slices(1))])])]

    report = check_medium(tmp_path, medium)

    assert [(each.kind, each.record_type) for each in report.findings] == [
        (Kind.MISSING_DESCRIPTION, "STUDY"),
        (Kind.MISSING_DESCRIPTION, "SERIES"),
    ]
    assert report.faults == 0


@pytest.mark.parametrize(
    ("character_set", "name", "fault"),
    [
        (None, b"M\xfcller", "none is declared"),
        ("ISO_IR 192", b"M\xfcller", "text that is not in 'ISO_IR 192'"),
        ("ISO_IR 999", b"M\xfcller", "there is no 'ISO_IR 999'"),
        ("ISO_IR 100", b"M\xfcller", None),
        (None, b"Miller", None),
    ],
)
def test_text_that_its_character_set_does_not_explain_is_found(
    tmp_path: Path, character_set: str | None, name: bytes, fault: str | None
) -> None:
    medium = [patient(name, "1", SpecificCharacterSet=character_set)]

    told = found(check_medium(tmp_path, medium), Kind.CHARACTER_SET)

    assert [each.detail for each in told] == ([fault] if fault else [])


@pytest.mark.parametrize("term", ["ISO_IR 999", "Not Supplied", "XXX XXXX"])
def test_a_character_set_that_means_nothing_is_a_remark_over_text_in_ascii(
    tmp_path: Path, term: str
) -> None:
    medium = ct(slices(1), SpecificCharacterSet=term)

    report = check_medium(tmp_path, medium)

    assert found(report, Kind.UNKNOWN_CHARACTER_SET)
    assert report.faults == 0


@pytest.mark.parametrize(
    "date",
    ["2023/07/05", "20230705120000", "2023-07-05T12:00:00", "20230732", "05.07.2023"],
)
def test_a_date_that_is_not_written_as_it_must_be_is_a_remark(
    tmp_path: Path, date: str
) -> None:
    medium = ct(slices(1))
    medium[0].children[0]["StudyDate"] = date

    [told] = found(check_medium(tmp_path, medium), Kind.MALFORMED_DATE)

    assert told.detail == "Study Date"


def test_values_that_go_on_behind_their_end_are_found(tmp_path: Path) -> None:
    medium = ct(slices(1))
    medium[0]["PatientID"] = b"12345\0Z9"

    assert found(check_medium(tmp_path, medium), Kind.RUBBISH)


def test_the_same_bytes_are_the_same_patient_in_whatever_character_set(
    tmp_path: Path,
) -> None:
    name = "张^三".encode("gb18030")
    images = slices(1)
    images[0]["SpecificCharacterSet"] = "GB18030"
    images[0]["PatientName"] = name
    medium = [patient(name, "12345", [study("1.1", [series("1.1.1", images)])])]

    assert found(check_medium(tmp_path, medium), Kind.PATIENT_DISAGREES) == []


def test_the_character_set_of_a_record_above_will_do(tmp_path: Path) -> None:
    medium = ct(slices(1), SpecificCharacterSet="ISO_IR 100")
    medium[0].children[0]["StudyDescription"] = b"Sch\xe4del"

    report = check_medium(tmp_path, medium)

    assert found(report, Kind.CHARACTER_SET) == []


def test_a_study_of_two_patients_is_found(tmp_path: Path) -> None:
    medium = [
        patient("Doe^Jane", "1", [study("1.1", [], description="CT")]),
        patient("Roe^Jim", "2", [study("1.1", [], description="CT")]),
        patient("Roe^Jim", "3", [study("1.2", [], description="CT")]),
    ]

    [split] = found(check_medium(tmp_path, medium), Kind.SPLIT_STUDY)

    assert split.where == ("Roe, Jim (2)", "2023-07-05 CT")


# -- listed files ----------------------------------------------------------------------


def test_missing_files_are_counted_by_series(tmp_path: Path) -> None:
    images = slices(6)
    for each in images[1:4]:
        each.path = None

    [missing] = found(check_medium(tmp_path, ct(images)), Kind.MISSING_FILE)

    assert (missing.where, missing.count, missing.of) == (WHERE, 3, 6)
    assert missing.files == ("CT/I2", "CT/I3", "CT/I4")


@pytest.mark.parametrize(
    ("header", "kind", "attribute"),
    [
        ({"SOPInstanceUID": "9.9"}, Kind.UID_DISAGREES, "SOP Instance UID"),
        ({"SOPClassUID": uid.MRImageStorage}, Kind.UID_DISAGREES, "SOP Class UID"),
        ({"StudyInstanceUID": "9.9"}, Kind.UID_DISAGREES, "Study Instance UID"),
        ({"SeriesInstanceUID": "9.9"}, Kind.UID_DISAGREES, "Series Instance UID"),
        ({"PatientID": "54321"}, Kind.PATIENT_DISAGREES, "Patient ID"),
        ({"PatientName": "Doe^John"}, Kind.PATIENT_DISAGREES, "Patient's Name"),
        ({"PatientSex": "M"}, Kind.PATIENT_DISAGREES, "Patient's Sex"),
    ],
)
def test_a_header_that_says_otherwise_is_found(
    tmp_path: Path, header: dict[str, str], kind: Kind, attribute: str
) -> None:
    images = [*slices(2), image("1.1.1.3", number=3, file="CT/I3", header=header)]

    report = check_medium(tmp_path, ct(images, PatientSex="F"))

    assert kinds(report) == {kind.code: 1}
    [one] = report.findings
    assert (one.where, one.count, one.of) == (WHERE, 1, 3)
    assert one.detail.startswith(attribute)
    assert next(iter(header.values())) in one.detail
    assert one.files == ("CT/I3",)
    assert one.record_type == "IMAGE"


def test_another_transfer_syntax_is_a_remark(tmp_path: Path) -> None:
    images = slices(1, ReferencedTransferSyntaxUIDInFile=uid.JPEG2000)
    images[0].content = instance_bytes(
        {"SOPInstanceUID": "1.1.1.1"}, syntax=uid.ImplicitVRLittleEndian
    )

    report = check_medium(tmp_path, ct(images))

    assert kinds(report) == {"syntax-disagrees": 1}
    assert report.faults == 0


@pytest.mark.parametrize(
    "header",
    [
        {"PatientName": "DOE^JANE^^^"},
        {"PatientName": "Doe^Jane=土井^ジェーン", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientID": " 12345 "},
        {"PatientID": None, "PatientName": None, "StudyInstanceUID": None},
    ],
)
def test_what_is_only_written_otherwise_is_no_disagreement(
    tmp_path: Path, header: dict[str, str]
) -> None:
    assert check_medium(tmp_path, ct(slices(1, header=header))).findings == []


def test_files_that_disagree_alike_are_one_finding(tmp_path: Path) -> None:
    images = slices(5, header={"PatientID": "54321", "StudyInstanceUID": "9.9"})

    report = check_medium(tmp_path, ct(images))

    assert kinds(report) == {"patient-disagrees": 1, "uid-disagrees": 1}
    assert [(each.count, len(each.files)) for each in report.findings] == [(5, 3)] * 2


def test_a_listed_file_that_is_no_dicom_is_found(tmp_path: Path) -> None:
    images = slices(2)
    images[0].content = b"<html>no image</html>"

    assert kinds(check_medium(tmp_path, ct(images))) == {"not-dicom": 1}


@pytest.mark.parametrize("kept", [0.5, 0.95])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEG2000])
def test_a_file_that_is_cut_off_is_found(
    tmp_path: Path, syntax: str, kept: float
) -> None:
    images = slices(2)
    whole = instance_bytes({"SOPInstanceUID": "1.1.1.1"}, syntax=syntax, size=8000)
    images[0].content = whole[: int(len(whole) * kept)]
    images[0]["ReferencedTransferSyntaxUIDInFile"] = syntax

    [cut] = check_medium(tmp_path, ct(images)).findings

    assert (cut.kind, cut.files) == (Kind.FILE_CUT_OFF, ("CT/I1",))


@pytest.mark.parametrize("syntax", list(uid.AllTransferSyntaxes))
def test_a_whole_file_is_not_cut_off(tmp_path: Path, syntax: str) -> None:
    images = slices(1, ReferencedTransferSyntaxUIDInFile=syntax)
    images[0]["ReferencedSOPClassUIDInFile"] = uid.CTImageStorage
    images[0].content = instance_bytes({"SOPInstanceUID": "1.1.1.1"}, syntax=syntax)

    assert check_medium(tmp_path, ct(images)).findings == []


def test_programs_in_preambles_are_found(tmp_path: Path) -> None:
    images = slices(2)
    plain = instance_bytes({"SOPInstanceUID": "1.1.1.1"})
    images[0].content = b"MZ" + plain[2:]
    write_medium(tmp_path, ct(images))
    (tmp_path / "ALSO").write_bytes(b"#!/bin/sh\n" + plain[10:])

    report = checked(tmp_path)

    listed, unlisted = sorted(
        found(report, Kind.EXECUTABLE_PREAMBLE), key=lambda each: each.files
    )[::-1]
    assert (listed.files, listed.detail) == (("CT/I1",), "a Windows program")
    assert unlisted.files == ("ALSO",)


# -- copies ----------------------------------------------------------------------------


def twice(second: bytes | None) -> list[Record]:
    """Return a medium that lists one instance twice."""
    images = slices(1)
    copy = image("1.1.1.1", number=1, file="CT/COPY")
    images[0].content = copy.content = instance_bytes({"SOPInstanceUID": "1.1.1.1"})
    copy.content = second or copy.content
    return ct([*images, copy])


def test_files_of_one_uid_that_are_the_same_are_a_remark(tmp_path: Path) -> None:
    report = check_medium(tmp_path, twice(None))

    [one] = report.findings
    assert (one.kind, one.count, one.of) == (Kind.REPEATED_INSTANCE, 1, 2)
    assert one.detail == "the same, byte for byte"


def test_files_of_one_uid_that_differ_are_a_fault(tmp_path: Path) -> None:
    report = check_medium(tmp_path, twice(changed()))

    [one] = report.findings
    assert (one.kind, one.count, one.of) == (Kind.DUPLICATE_INSTANCE, 2, 2)
    assert one.where == WHERE


def changed() -> bytes:
    """Return the instance of those media with another byte near its end."""
    data = bytearray(instance_bytes({"SOPInstanceUID": "1.1.1.1"}))
    data[-10] ^= 1
    return bytes(data)


def check_discs(root: Path, *contents: bytes) -> Report:
    """Check discs of one instance, each with these bytes of it."""
    for number, content in enumerate(contents):
        medium = ct(slices(1))
        medium[0].children[0].children[0].children[0].content = content
        write_medium(root / f"{number}", medium)
    discs = [root / f"{number}" for number in range(len(contents))]
    file_sets = file_sets_of(open_sources(discs), Findings())
    try:
        return check(file_sets)
    finally:
        for each in file_sets:
            each.medium.close()


SOUND = instance_bytes({"SOPInstanceUID": "1.1.1.1"})


def test_copies_on_several_discs_that_are_the_same_are_a_remark(tmp_path: Path) -> None:
    report = check_discs(tmp_path, SOUND, SOUND, SOUND)

    assert report.faults == 0
    found = report.findings
    assert {(each.kind, each.count, each.of) for each in found} == {
        (Kind.REPEATED_INSTANCE, 1, 1)
    }
    assert len({each.source for each in found}) == 2


def test_copies_that_differ_are_found_with_the_byte(tmp_path: Path) -> None:
    report = check_discs(tmp_path, SOUND, changed())

    [one] = found(report, Kind.COPIES_DIFFER)
    assert one.detail == f"from byte {len(SOUND) - 10} on"
    assert (one.where, one.count, one.of) == (WHERE, 1, 1)
    assert Kind.ASSUMED_COPIES not in {each.kind for each in report.findings}


def test_an_instance_of_two_series_is_a_remark(tmp_path: Path) -> None:
    medium = ct(slices(2))
    again = image("1.1.1.1", number=1, file="CT/AGAIN")
    more = series("1.1.2", [again], number=3, description="More")
    medium[0].children[0].children.append(more)

    [repeated] = check_medium(tmp_path, medium).findings

    assert repeated.kind is Kind.REPEATED_ELSEWHERE
    assert (repeated.where[-1], repeated.files) == ("003 CT More", ("CT/AGAIN",))


# -- bad sectors -----------------------------------------------------------------------


class BadSource(Source):
    """A source with unreadable ranges, which counts how often each page is asked for."""

    def __init__(self, source: Source, bad: Iterable[range], error: int) -> None:
        self._source = source
        self._bad = list(bad)
        self._error = error
        self.size = source.size
        self.status = source.status
        self.asked: Counter[int] = Counter()

    def read_at(self, offset: int, size: int) -> bytes:
        """Read, or fail."""
        end = min(offset + size, self.size)
        self.asked.update(range(offset // PAGE, -(-end // PAGE)))
        if any(each.start < end and offset < each.stop for each in self._bad):
            raise OSError(self._error, os.strerror(self._error))
        return self._source.read_at(offset, size)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class BadMedium(CountingMedium):
    """A folder of which the file CT/I1 has unreadable ranges."""

    def __init__(
        self, root: Path, bad: Iterable[range], error: int = errno.EIO
    ) -> None:
        super().__init__(root)
        self._bad = list(bad)
        self._error = error
        self.bad_sources: list[BadSource] = []

    def open(self, path: Place) -> Source:
        """Open a file."""
        source = super().open(path)
        if path != (b"CT", b"I1"):
            return source
        self.bad_sources.append(BadSource(source, self._bad, self._error))
        return self.bad_sources[-1]


def test_unreadable_bytes_are_found_to_the_page(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2, size=300_000)))
    medium = BadMedium(tmp_path, [range(150_000, 150_001), range(250_000, 260_000)])

    [bad] = checked(medium).findings

    assert bad.kind is Kind.UNREADABLE_BYTES
    assert (bad.where, bad.files) == (WHERE, ("CT/I1",))
    assert bad.detail == "bytes 147456 to 151551, bytes 249856 to 262143"


def test_no_page_is_asked_for_more_than_twice_in_a_row_of_bad_ones(
    tmp_path: Path,
) -> None:
    write_medium(tmp_path, ct(slices(1, size=300_000)))
    medium = BadMedium(tmp_path, [range(20_000), range(150_000, 190_000)])

    checked(medium)

    [source] = medium.bad_sources
    bad = [*range(5), *range(150_000 // PAGE, 190_000 // PAGE + 1)]
    assert max(source.asked[page] for page in bad) == 2


def test_a_file_of_which_nothing_can_be_read_is_given_up(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2, size=50 * BLOCK)))
    medium = BadMedium(tmp_path, [range(100 * BLOCK)])

    [bad] = checked(medium).findings

    assert bad.detail.startswith(f"bytes 0 to {2 * BLOCK - 1}, bytes {2 * BLOCK} to")
    assert bad.detail.endswith("were not tried")
    assert sum(medium.bad_sources[0].asked.values()) < 4 * BLOCK // PAGE + 2


def test_a_header_behind_a_bad_page_is_compared_all_the_same(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1, size=20_000, header={"PatientID": "54321"})))
    medium = BadMedium(tmp_path, [range(10_000, 10_001)])

    assert kinds(checked(medium)) == {"unreadable-bytes": 1, "patient-disagrees": 1}


def test_a_medium_that_is_gone_ends_the_check(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(3)))

    report = checked(BadMedium(tmp_path, [range(9)], errno.ENOMEDIUM))

    assert report.failure == "the medium cannot be read: No medium found"
    assert [each.is_complete for each in report.progress] == [True, *[False] * 3]


def test_a_file_that_cannot_be_opened_costs_itself(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(3)))

    report = checked(CountingMedium(tmp_path, refuse=["CT/I2"]))

    [bad] = report.findings
    assert (bad.kind, bad.count, bad.of) == (Kind.UNREADABLE_FILE, 1, 3)
    assert bad.files == ("CT/I2",)
    assert report.is_complete


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    check_medium(tmp_path, ct(slices(20)))

    assert until(
        lambda: not any(each.name.startswith("check") for each in threading.enumerate())
    )


def test_a_copy_of_an_unreadable_file_ends_nothing(tmp_path: Path) -> None:
    write_medium(tmp_path, twice(None))

    report = checked(BadMedium(tmp_path, [range(9)]))

    assert kinds(report) == {"duplicate-instance": 1, "unreadable-bytes": 1}
    assert report.is_complete


# -- what no record lists --------------------------------------------------------------


def test_instances_that_no_record_lists_are_faults(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2)))
    extra = tmp_path / "CT" / "EXTRA"
    extra.mkdir()
    for name in ("1", "2", "3", "4"):
        (extra / name).write_bytes(instance_bytes())

    [unlisted] = checked(tmp_path).findings

    assert (unlisted.kind, unlisted.count) == (Kind.UNLISTED_INSTANCE, 4)
    assert unlisted.files == ("CT/EXTRA/1", "CT/EXTRA/2", "CT/EXTRA/3")


def test_an_instance_without_preamble_is_one_too(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    data = instance_bytes()
    (tmp_path / "BARE").write_bytes(data[data.index(b"\x08\0\x16\0UI") :])

    assert kinds(checked(tmp_path)) == {"unlisted-instance": 1}


DOCUMENTS: Final = {
    "REPORT.PDF": b"%PDF-1.7 ...",
    "Befund.pdf;1": b"%PDF-1.4 ...",
    "KEY/1.jpg": b"\xff\xd8\xff\xe0 ...",
    "KEY/2.PNG": b"\x89PNG\r\n\x1a\n ...",
    "KEY/3": b"II*\0 ...",
}


def test_pictures_and_documents_beside_the_file_set_are_named(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2)))
    (tmp_path / "KEY").mkdir()
    for name, data in {**DOCUMENTS, "A.EXE": b"MZ", "B.pdf": b"none"}.items():
        (tmp_path / name).write_bytes(data)

    documents, others = sorted(checked(tmp_path).findings, key=lambda f: f.kind.code)

    assert (documents.kind, documents.count) == (Kind.UNLISTED_DOCUMENT, 5)
    assert documents.files == ("Befund.pdf;1", "REPORT.PDF", "KEY/1.jpg")
    assert (others.kind, others.count) == (Kind.UNLISTED_FILE, 2)


@pytest.mark.parametrize("place", ["OLD", "A/B/C/D/E"])
def test_another_dicomdir_is_named_however_deep_it_lies(
    tmp_path: Path, place: str
) -> None:
    write_medium(tmp_path, ct(slices(2)))
    write_medium(tmp_path / place, ct(slices(1)))

    told = {each.kind: each for each in checked(tmp_path).findings}

    assert set(told) == {Kind.INDEX_BESIDE, Kind.UNLISTED_INSTANCE}
    assert told[Kind.INDEX_BESIDE].files == (f"{place}/DICOMDIR",)


def test_findings_of_several_dicomdirs_on_one_medium_name_the_right_one(
    tmp_path: Path,
) -> None:
    for name in ("CD1", "CD2"):
        write_medium(tmp_path / name, ct(slices(2)))
    odd = ct(slices(1, InstanceNumber="7"))
    odd[0]["PatientName"] = b"Do\xe9"
    write_medium(tmp_path / "CD3", odd)
    (tmp_path / "EXTRA").write_bytes(instance_bytes())

    told = {each.kind: each.source for each in checked(tmp_path).findings}

    assert told[Kind.CHARACTER_SET] == "CD3/DICOMDIR"
    assert told[Kind.UNLISTED_INSTANCE] == ""


@pytest.mark.parametrize("number", ["7A", "seven", "1,5", "9" * 13])
def test_a_number_that_cannot_be_read_is_a_remark(tmp_path: Path, number: str) -> None:
    write_medium(tmp_path, ct([image("1.1.1.1", number=number.encode(), file="CT/I1")]))

    [told] = checked(tmp_path).findings

    assert told.kind is Kind.MALFORMED_NUMBER
    assert told.detail == "Instance Number"


def test_other_files_are_one_remark(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2)))
    shutil.copy(tmp_path / "DICOMDIR", tmp_path / "DICOMDIR.BAK")
    (tmp_path / "VIEWER.EXE").write_bytes(b"MZ" + bytes(2000))
    (tmp_path / "AUTORUN.INF").write_text("[autorun]")
    (tmp_path / "EMPTY").touch()

    report = checked(tmp_path)

    [others] = report.findings
    assert (others.kind, others.count) == (Kind.UNLISTED_FILE, 4)
    assert others.files == ("AUTORUN.INF", "EMPTY", "VIEWER.EXE")
    assert report.faults == 0


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    (tmp_path / "link").symlink_to("CT/I1")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "fifo")

    assert checked(tmp_path).findings == []


def test_what_an_inactive_record_lists_is_listed(tmp_path: Path) -> None:
    images = slices(2)
    images[1].in_use = 0

    assert kinds(check_medium(tmp_path, ct(images))) == {"inactive-record": 1}


def test_a_file_is_listed_whatever_its_case(tmp_path: Path) -> None:
    write_medium(
        tmp_path, ct(slices(2)), rename=lambda file_id: f"{file_id.lower()}.dcm"
    )

    assert checked(tmp_path).findings == []


class ClosedFolders(CountingMedium):
    """A medium whose folder CLOSED cannot be read."""

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """List a folder."""
        if folder == (b"CLOSED",):
            raise OSError(errno.EIO, "a bad sector")
        return super().entries(folder)


def test_a_folder_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    (tmp_path / "CLOSED").mkdir()

    [closed] = checked(ClosedFolders(tmp_path)).findings

    assert (closed.kind, closed.files) == (Kind.UNREADABLE_FOLDER, ("CLOSED",))


@pytest.mark.slow
def test_folders_that_are_nested_too_deeply_are_said_to_be(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    tmp_path.joinpath(*["d"] * 66).mkdir(parents=True)

    [deep] = checked(tmp_path).findings

    assert deep.kind is Kind.UNREADABLE_FOLDER
    assert deep.detail == "deeper than 64 folders"


@pytest.mark.slow
def test_a_million_places_take_little_memory() -> None:
    tracemalloc.start()
    try:
        places = Seen()
        for number in range(100_000):
            places.add((b"DICOM", b"%d" % number))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000 * 16 + 4_000_000
    assert all((b"DICOM", b"%d" % number) in places for number in range(1000))
    assert (b"DICOM", b"x") not in places


@pytest.mark.slow
def test_what_is_seen_again_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        seen = Seen()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(100_000):
            seen.add(b"1.2.3")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 1000


# -- the verdict -----------------------------------------------------------------------


def test_the_first_line_says_how_many_images_are_whole_and_how_many_are_not_listed() -> (
    None
):
    report = checked(SAMPLES)

    assert report.sentence == (
        "31 of 31 listed images are whole; 50 more DICOM files lie on the medium but "
        "not in its index (see them with --scan)"
    )
    assert report.verdict is Verdict.FAULTS


def test_what_is_not_whole_does_not_count_as_whole(tmp_path: Path) -> None:
    images = slices(6)
    images[0].path = None
    images[1].content = b"<html>no image</html>"
    images[2].content = instance_bytes({"SOPInstanceUID": "1.1.1.3"}, size=800)[:-400]
    images[3].content = b"MZ" + instance_bytes({"SOPInstanceUID": "1.1.1.4"})[2:]
    write_medium(tmp_path, ct(images))

    report = checked(CountingMedium(tmp_path, refuse=["CT/I5"]))

    assert report.sentence == "2 of 6 listed images are whole"


def test_a_copy_that_is_broken_does_not_break_the_image(tmp_path: Path) -> None:
    findings = Findings()
    file_sets = []
    media = []
    for name in ("one", "two"):
        write_medium(tmp_path / name, ct(slices(1)))
        bad = [range(9)] if name == "two" else []
        media.append(BadMedium(tmp_path / name, bad))
        about = findings.about(name)
        file_sets += open_file_sets(media[-1], findings=about)

    report = check(file_sets)

    for each in media:
        each.close()
    [broken] = found(report, Kind.UNREADABLE_BYTES)
    assert (broken.source, broken.files) == ("two", ("CT/I1",))
    assert report.sentence == "1 of 1 listed images is whole"


def test_what_is_not_an_image_is_called_a_file(tmp_path: Path) -> None:
    medium = ct(slices(1))
    lung = medium[0].children[0].children[0]
    lung.children = [*lung.children, leaf("SR DOCUMENT", "1.1.1.2", file="CT/SR")]

    report = check_medium(tmp_path, medium)

    assert report.sentence == "2 of 2 listed files are whole"


def test_of_an_index_alone_it_says_only_what_is_there(tmp_path: Path) -> None:
    images = slices(3)
    images[0].path = None
    write_medium(tmp_path, ct(images))
    (tmp_path / "EXTRA").write_bytes(instance_bytes())

    report = checked(tmp_path, index_only=True)

    assert report.sentence == (
        "2 of 3 listed images are there; what is in them, and what else lies on the "
        "medium, was not looked at"
    )
    assert report.verdict is Verdict.UNFINISHED


def test_of_a_medium_that_is_gone_it_says_only_what_was_seen(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(3)))

    report = checked(BadMedium(tmp_path, [range(9)], errno.ENOMEDIUM))

    assert report.sentence == (
        "0 images were looked at and 0 of them are whole, but not everything could be "
        "read: the medium cannot be read: No medium found"
    )
    assert report.verdict is Verdict.UNFINISHED


def test_a_folder_that_cannot_be_read_is_left_out_of_the_count() -> None:
    tally = Tally(3, 3, 3, 0, is_all=False)

    assert sentence(tally, 1, "") == (
        "3 of 3 listed images in the folders that could be read are whole"
    )


def test_of_a_scan_it_says_what_was_found() -> None:
    assert sentence(Tally(1, 1, 1, 0, is_scan=True), 1, "") == (
        "1 of 1 images found is whole"
    )


def test_of_several_media_it_says_that_they_are_several() -> None:
    assert sentence(Tally(1234, 1234, 1, 1, media=2), 1, "") == (
        "1 of 1,234 listed images is whole; 1 more DICOM file lies on the media but not "
        "in their indexes (see it with --scan)"
    )


def test_where_nothing_is_listed_it_says_so() -> None:
    assert sentence(Tally(0, 0, 0, 0), 1, "") == "there are no listed images"


# -- what does not answer --------------------------------------------------------------


class SilentMedium(CountingMedium):
    """A folder in which some files, or folders, do not answer until the test is over."""

    def __init__(self, root: Path, *silent: str) -> None:
        super().__init__(root)
        self._silent = {name.encode() for name in silent}
        self.over = threading.Event()

    def _wait(self, path: Place) -> None:
        if b"/".join(path) in self._silent:
            self.over.wait(PATIENCE)

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """List a folder, or never."""
        self._wait(folder)
        return super().entries(folder)

    def statuses(self, folder: Place, names: Sequence[bytes]) -> list[Status | OSError]:
        """Look at files, or never."""
        self._wait((*folder, b"status"))
        return super().statuses(folder, names)

    def open(self, path: Place) -> Source:
        """Open a file, or never."""
        self._wait(path)
        return super().open(path)


def check_silent(medium: SilentMedium) -> Report:
    try:
        return check(open_file_sets(medium, deadline=2.0), deadline=2.0)
    finally:
        medium.over.set()


@pytest.mark.slow
def test_a_listed_file_that_does_not_answer_costs_itself(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(20)))

    report = check_silent(SilentMedium(tmp_path, "CT/I3", "CT/I7"))

    [silent] = report.findings
    assert (silent.kind, silent.count, silent.of) == (Kind.SILENT_FILE, 2, 20)
    assert silent.files == ("CT/I3", "CT/I7")
    assert silent.detail == "no answer within 2 seconds"
    assert report.sentence == "18 of 20 listed images are whole"
    assert report.is_complete


@pytest.mark.slow
def test_a_copy_that_does_not_answer_costs_itself(tmp_path: Path) -> None:
    findings = Findings()
    for name in ("one", "two"):
        write_medium(tmp_path / name, ct(slices(2)))
    media = [SilentMedium(tmp_path / "one"), SilentMedium(tmp_path / "two", "CT/I1")]
    about = [findings.about(name) for name in ("one", "two")]
    file_sets = [
        file_set
        for medium, each in zip(media, about, strict=True)
        for file_set in open_file_sets(medium, findings=each)
    ]

    report = check(file_sets, deadline=2.0)

    media[1].over.set()
    [silent] = found(report, Kind.SILENT_FILE)
    assert (silent.source, silent.files) == ("two", ("CT/I1",))
    [unsure] = found(report, Kind.ASSUMED_COPIES)
    assert unsure.files == ("CT/I1",)
    assert report.sentence == "2 of 2 listed images are whole"


@pytest.mark.slow
def test_another_file_that_does_not_answer_costs_itself(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    for name in ("A", "B", "C"):
        (tmp_path / name).write_bytes(instance_bytes())

    report = check_silent(SilentMedium(tmp_path, "B"))

    assert [(each.kind, each.files) for each in report.findings] == [
        (Kind.SILENT_FILE, ("B",)),
        (Kind.UNLISTED_INSTANCE, ("A", "C")),
    ]
    assert report.is_complete


@pytest.mark.slow
def test_a_folder_that_does_not_answer_costs_itself(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    (tmp_path / "SLOW").mkdir()

    report = check_silent(SilentMedium(tmp_path, "SLOW"))

    assert kinds(report) == {"unreadable-folder": 1}
    assert report.is_complete


@pytest.mark.slow
def test_a_medium_that_does_not_answer_at_all_ends_the_check(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))

    report = check_silent(SilentMedium(tmp_path, "CT/status"))

    assert report.failure == "the medium cannot be read: no answer within 2 seconds"
    assert report.verdict is Verdict.UNFINISHED


# -- how far it is ---------------------------------------------------------------------


def test_files_are_counted_out_of_those_that_are_listed(tmp_path: Path) -> None:
    told: list[tuple[Stage, Amount]] = []
    images = slices(3, size=200_000)
    images[2].in_use = 0
    write_medium(tmp_path, ct(images))
    medium = CountingMedium(tmp_path)

    check(open_file_sets(medium), lambda *step: told.append(step))
    medium.close()

    size = 2 * (tmp_path / "CT/I1").stat().st_size
    files = [amount for stage, amount in told if stage is Stage.FILES]
    assert {(each.of, each.of_size) for each in files} == {(2, size)}
    assert (files[-1].number, files[-1].size, files[-1].part) == (2, size, 1)
    # Some of a file is told before all of it is read.
    assert files[0].number == 0
    assert 0 < files[0].part < 0.5
    [index] = [amount for stage, amount in told if stage is Stage.INDEX]
    assert (index.number, index.of) == (6, 6)


# -- the command -----------------------------------------------------------------------


@pytest.mark.slow
def test_a_sound_medium_ends_with_zero(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2)))

    done = dicomfs("check", tmp_path)

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.startswith("2 of 2 listed images are whole\n\n")
    assert done.stdout.endswith("no faults, no remarks; the medium is sound\n")


@pytest.mark.slow
def test_remarks_alone_are_no_faults(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(2)))
    (tmp_path / "README.TXT").touch()

    done = dicomfs("check", tmp_path)

    assert done.returncode == Exit.OK
    assert f"remark: {Kind.UNLISTED_FILE.meaning} [unlisted-file]" in done.stdout
    assert done.stdout.endswith("1 remark; the medium is sound, with remarks\n")


@pytest.mark.slow
def test_faults_are_told_on_stdout(tmp_path: Path) -> None:
    images = slices(3)
    images[0].path = None
    write_medium(tmp_path, ct(images))

    done = dicomfs("check", tmp_path)

    assert (done.returncode, done.stderr) == (Exit.FAULTS, "")
    assert f"1 of 3 missing in {'/'.join(WHERE)}" in done.stdout
    assert done.stdout.startswith("2 of 3 listed images are whole\n\n")
    assert done.stdout.endswith("1 fault, no remarks; the medium has faults\n")


@pytest.mark.slow
def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    images = slices(3)
    images[0].path = None
    write_medium(tmp_path, ct(images))

    done = dicomfs("check", "--json", tmp_path)

    whole = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (Exit.FAULTS, "")
    assert (whole["schema"], whole["complete"], whole["faults"]) == (2, True, 1)
    assert (whole["verdict"], whole["listed"], whole["whole"]) == ("faults", 3, 2)
    assert whole["findings"][0]["where"] == list(WHERE)


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"", b"no directory"])
def test_what_cannot_be_read_ends_with_eight(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "DICOMDIR").write_bytes(content)

    done = dicomfs("check", tmp_path)

    assert (done.returncode, done.stdout) == (Exit.UNCHECKED, "")
    assert len(done.stderr.splitlines()) == 2
    assert dicomfs("check", tmp_path / "nowhere").returncode == Exit.UNCHECKED


@pytest.mark.slow
def test_index_only_opens_no_file_and_says_so(tmp_path: Path) -> None:
    written = write_medium(tmp_path, ct(slices(3)))
    spoil(written)
    medium = CountingMedium(tmp_path)

    report = checked(medium, index_only=True)

    assert medium.opened == ["DICOMDIR"]
    assert [each.is_complete for each in report.progress] == [True, True, False, False]
    assert dicomfs("check", "--index-only", tmp_path).returncode == Exit.OK
    assert dicomfs("check", tmp_path).returncode == Exit.FAULTS


def spoil(written: Written) -> None:
    """Make the files something else."""
    for path in written.files.values():
        path.write_bytes(b"no DICOM")


@pytest.mark.slow
def test_a_medium_without_dicomdir_can_be_checked_by_its_files(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(3)))
    (tmp_path / "DICOMDIR").unlink()

    done = dicomfs("check", "--scan", "--json", tmp_path)

    whole = json.loads(done.stdout)
    assert done.returncode == Exit.OK, done.stderr
    assert [each["count"] for each in whole["looked_at"]] == [6, 4, 3, 2]


@pytest.mark.slow
def test_progress_is_shown_on_a_terminal_and_goes_away(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(3)))
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*IMPATIENT, "check", tmp_path],
            check=False,
            env=mounting.environment(mounting.new_mark()),
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=30,
        )
        said = os.read(ours, 10_000)
    finally:
        os.close(theirs)
        os.close(ours)

    assert done.returncode == Exit.OK
    assert said.startswith(b"\r\x1b[Kdirectory records")
    assert said.endswith(b"\r\x1b[K")


@pytest.mark.slow
def test_names_that_are_no_text_do_not_harm(tmp_path: Path) -> None:
    write_medium(tmp_path, ct(slices(1)))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x1b[31m\xff")).touch()

    done = dicomfs("check", tmp_path)
    data = dicomfs("check", "--json", tmp_path)

    assert "\\x1b[31m\\xff" in done.stdout
    assert "\x1b" not in done.stdout + data.stdout
    assert json.loads(data.stdout)["findings"][0]["files"] == ["\x1b[31m\udcff"]


@pytest.mark.slow
def test_what_the_report_says_is_not_logged_beside_it(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("links are off")
    write_medium(
        tmp_path, ct(slices(2)), links=lambda _, *links: tuple(map(shift, links))
    )

    assert kinds(checked(tmp_path)) == {"links-shifted": 1}
    assert dicomfs("check", tmp_path).stderr == ""


def shift(link: int) -> int:
    """Return a link as it is after the file's beginning grew by 22 bytes."""
    return link - 22 if link else 0
