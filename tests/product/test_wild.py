"""Media as hospitals hand them out: with viewers, web pages and sealed files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from dicomfs.check.check import check
from dicomfs.cli.codes import Exit
from dicomfs.dicom.disguise import ENCRYPTED, ENVELOPE_HEAD, SIGNED, how_secured
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.scan import scanned
from dicomfs.findings import Finding, Findings, Kind
from dicomfs.tree.report import Report
from tests.build.medium import (
    Record,
    image,
    instance_bytes,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.mounting import dicomfs
from tests.support.trees import CountingMedium, FakeMedium, files, look

# What IHE's profile Portable Data for Imaging has on a disc beside the File-set, and
# what else there is: nothing of it is in DICOM format.
BESIDE: Final = {
    "README.TXT": b"This disc was made by a hospital.\r\n",
    "INDEX.HTM": b"<!DOCTYPE html><html><body><a href='IHE_PDI/R1.HTM'>1</a></body></html>",
    "AUTORUN.INF": b"[autorun]\r\nopen=VIEWER\\VIEWER.EXE\r\n",
    "IHE_PDI/R1.HTM": b"<html><body>Report</body></html>",
    "IHE_PDI/J1.JPG": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(300),
    "IHE_PDI/R1.XML": b"<?xml version='1.0'?><ClinicalDocument/>",
    "VIEWER/VIEWER.EXE": b"MZ\x90\0" + bytes(range(256)) * 16,
    "VIEWER/HELP.PDF": b"%PDF-1.4\n" + bytes(200),
    "VIEWER/DATA.ZIP": b"PK\x03\x04" + bytes(200),
    "VIEWER/EMPTY": b"",
    "VIEWER/CONFIG/A": b"a",
    "VIEWER/CONFIG/DICOM.DIC": b"0010,0010 PN PatientName\r\n",
}


def medium() -> list[Record]:
    images = [image(f"1.1.{n}", number=n, file=f"DICOM/I{n}") for n in (1, 2, 3)]
    lung = series("1.1", images, description="Lung")
    return [patient("Doe^Jane", "4711", [study("1", [lung], description="Thorax")])]


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Return the folder of such a disc."""
    write_medium(tmp_path, medium())
    for name, data in BESIDE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


SHOWN: Final = [
    f"Doe, Jane (4711)/2023-07-05 Thorax/001 CT Lung/000{n}.dcm" for n in (1, 2, 3)
]


def checked(root: Path) -> Report:
    counting = CountingMedium(root)
    try:
        return check(open_file_sets(counting))
    finally:
        counting.close()


_BESIDE: Final = {Kind.UNLISTED_DOCUMENT: 2, Kind.UNLISTED_FILE: len(BESIDE) - 2}


def _counts(findings: Sequence[Finding]) -> dict[Kind, int]:
    return {each.kind: each.count for each in findings}


# -- viewers and web pages -------------------------------------------------------------


def test_nothing_but_the_instances_is_shown(disc: Path) -> None:
    assert files(look(disc)) == SHOWN


@pytest.mark.slow
def test_what_else_lies_on_a_disc_is_a_remark(disc: Path) -> None:
    findings = checked(disc).findings

    assert _counts(findings) == _BESIDE
    assert not any(each.kind.is_fault for each in findings)


@pytest.mark.slow
def test_check_calls_such_a_disc_sound(disc: Path) -> None:
    done = dicomfs("check", disc)

    assert done.returncode == Exit.OK, done.stderr
    assert "[unlisted-file]" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("the medium is sound, with remarks")


def test_a_scan_passes_over_it_without_a_word(disc: Path) -> None:
    (disc / "DICOMDIR").unlink()
    findings = Findings()
    counting = CountingMedium(disc)

    [file_set] = scanned(counting, findings)
    report = check([file_set])
    counting.close()

    assert file_set.findings.all() == report.findings
    assert _counts(report.findings) == _BESIDE


@pytest.mark.slow
def test_a_scan_shows_nothing_but_the_instances(disc: Path) -> None:
    done = dicomfs("tree", "--scan", "--json", disc)

    [jane] = json.loads(done.stdout)["entries"]
    [thorax] = jane["entries"]
    [lung] = thorax["entries"]
    names = [
        "/".join((jane["name"], thorax["name"], lung["name"], each["name"]))
        for each in lung["entries"]
    ]
    assert names == SHOWN


# -- files in cryptographic envelopes --------------------------------------------------

# How the forms of RFC 5652 and RFC 5083 begin, with lengths of all forms; as OpenSSL
# writes them.
SEALED: Final = {
    "enveloped": ("308204958006092a864886f70d010703a082049570308204", ENCRYPTED),
    "enveloped-as-a-stream": (
        "308006092a864886f70d010703a080308002010031820140",
        ENCRYPTED,
    ),
    "authenticated-enveloped": (
        "3083049585060b2a864886f70d0109100117a08304957330",
        ENCRYPTED,
    ),
    "signed": ("308304995a06092a864886f70d010702a08304994a308304", SIGNED),
    "signed-as-a-stream": ("308006092a864886f70d010702a0803080020101310d300b", SIGNED),
    "digested": ("308304944106092a864886f70d010705a083049431308304", SIGNED),
}


def sealed(form: str) -> bytes:
    return bytes.fromhex(SEALED[form][0]) + bytes(range(256)) * 8


@pytest.mark.parametrize("form", SEALED)
def test_a_cryptographic_envelope_is_told_by_how_it_begins(form: str) -> None:
    assert how_secured(sealed(form)[:ENVELOPE_HEAD]) == SEALED[form][1]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x30",
        b"\x30\x82\x02\xf9\x30\x82\x01\xe1\xa0\x03\x02\x01\x02",  # a certificate
        b"text that has " + bytes.fromhex("06092a864886f70d010703"),
        b"\x30 text that has " + bytes.fromhex("06092a864886f70d010703"),
        bytes.fromhex("308006092a864886f70d010701a080"),  # data, and nothing else
        instance_bytes()[:ENVELOPE_HEAD],
    ],
    ids=range(7),
)
def test_what_is_no_envelope_is_not_taken_for_one(head: bytes) -> None:
    assert how_secured(head) == ""


@pytest.mark.slow
@pytest.mark.parametrize("form", SEALED)
def test_a_sealed_instance_is_called_what_it_is(disc: Path, form: str) -> None:
    (disc / "DICOM/I2").write_bytes(sealed(form))

    faults = [each for each in checked(disc).findings if each.kind.is_fault]

    [finding] = faults
    assert finding.kind is Kind.SECURED_FILE
    assert finding.detail == SEALED[form][1]
    assert (finding.count, finding.of, finding.files) == (1, 3, ("DICOM/I2",))


def test_a_listed_file_that_is_something_else_is_still_no_dicom(disc: Path) -> None:
    (disc / "DICOM/I2").write_bytes(BESIDE["INDEX.HTM"])

    assert Kind.NOT_DICOM in {each.kind for each in checked(disc).findings}


def test_sealed_instances_are_listed_and_can_be_read(disc: Path) -> None:
    for n in (1, 2, 3):
        (disc / f"DICOM/I{n}").write_bytes(sealed("enveloped"))

    seen = look(disc)

    assert files(seen) == SHOWN
    assert {seen[path].data for path in SHOWN} == {sealed("enveloped")}


def test_a_scan_passes_over_sealed_files() -> None:
    fake = FakeMedium({"A": sealed("enveloped"), "B": instance_bytes()})
    findings = Findings()

    [file_set] = scanned(fake, findings)

    assert len([*file_set.everything()]) == 4
    assert findings.all() == []
