"""What other programs put into DICOM files, and what a mount with extras gives back."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.documents.test_encapsulated import KINDS
from tests.mount.test_pictures import shared
from tests.product.test_writers import (
    REPORT,
    on_disk,
    pydicom_fileset,
    use,
    write_images,
)
from tests.support.mounting import Mount, Mounter, need, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

_ROOT: Final = "1.2.826.0.1.3680043.8.498.7"
_STUDY: Final = "Doe, Jane Q (12345)/2023-07-05 CT Thorax"
_IMAGES: Final = f"{_STUDY}/003 CT Lung 1.0"
_TOOLS: Final = {
    "pdf2dcm": ("application/pdf", 20, "Letter", ".pdf"),
    "cda2dcm": ("text/xml", 21, "Summary", ".xml"),
    "stl2dcm": ("model/stl", 22, "Bone", ".stl"),
}
_DEEP: Final = [f"{_ROOT}.3.1.10", f"{_ROOT}.5.1.1"]


def _said(number: int) -> list[str]:
    said = ["StudyDate=20230705", "StudyTime=101500", "StudyID=1", "AccessionNumber="]
    said.append(f"SeriesNumber={number}")
    return [part for each in said for part in ("--key", each)]


def _encapsulate(tool: str, root: Path) -> None:
    """Let a tool of DCMTK make an instance of a document."""
    mime, number, title, _ = _TOOLS[tool]
    given = root / "given"
    given.write_bytes(KINDS[mime][1])
    made = root / f"DICOM/DOC{number}/D1"
    made.parent.mkdir()
    study = ["--study-from", str(root / "DICOM/CT3/I1")]
    # The patient of the CDA is nobody.
    more = ["+ov"] if tool == "cda2dcm" else []
    use(tool, *more, "--title", title, *study, *_said(number), given, made)
    given.unlink()


def _like_an_image(root: Path, number: int, modality: str, sop_class: str) -> Dataset:
    """Return an instance of the study, in a series of its own."""
    image = pydicom.dcmread(root / "DICOM/CT3/I1", stop_before_pixels=True)
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        del image[keyword]
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = uid.UID(sop_class)
    made = uid.UID(f"{_ROOT}.{number}.1.1")
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = made
    image.SeriesInstanceUID, image.SeriesNumber = f"{_ROOT}.{number}.1", number
    image.Modality, image.SeriesDescription = modality, ""
    return image


def _video(root: Path, stream: bytes) -> None:
    """Let pydicom make an instance of a video, with an index and several fragments."""
    made = _like_an_image(root, 30, "XC", uid.VideoPhotographicImageStorage)
    made.file_meta.TransferSyntaxUID = uid.MPEG4HP41
    made.Rows, made.Columns, made.NumberOfFrames = 64, 64, 25
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.SamplesPerPixel, made.PixelRepresentation = 3, 0
    made.PhotometricInterpretation, made.PlanarConfiguration = "YBR_PARTIAL_420", 0
    made.FrameIncrementPointer = 0x00181063
    made.FrameTime = 40
    made.PixelData = encapsulate([stream], fragments_per_frame=5, has_bot=False)
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.save_as(root / "DICOM/V1")


def _key_objects_of_pydicom(root: Path) -> None:
    """Let pydicom make a choice of two images of two series."""
    made = _like_an_image(root, 40, "KO", uid.KeyObjectSelectionDocumentStorage)
    made.ContentDate, made.ContentTime = "20230705", "120000"
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [_code("113003", "For Surgery")]
    made.ContentSequence = [_reference(each) for each in _DEEP]
    made.save_as(root / "DICOM/KO1")


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = (
        value,
        "DCM",
        meaning,
    )
    return code


def _reference(instance: str) -> Dataset:
    about = Dataset()
    about.ReferencedSOPClassUID = uid.CTImageStorage
    about.ReferencedSOPInstanceUID = instance
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [about]
    return item


def _xml2dsr(root: Path, name: str, xml: str) -> None:
    """Let DCMTK make a structured report, or a choice, of *xml*."""
    given = root / "document.xml"
    given.write_text(xml, encoding="utf-8")
    use("xml2dsr", given, root / "DICOM" / name)
    given.unlink()


_CHOSEN: Final = [f"{_ROOT}.3.1.2", f"{_ROOT}.3.1.99", f"{_ROOT}.3.1.1"]
_CT: Final = f'<sopclass uid="{uid.CTImageStorage}">CTImageStorage</sopclass>'
_VALUES: Final = [f'<value>{_CT}<instance uid="{each}"/></value>' for each in _CHOSEN]
_ITEMS: Final = [
    f"<image><relationship>CONTAINS</relationship>{each}</image>" for each in _VALUES
]
_XML: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<report type="Key Object Selection Document">
<sopclass uid="{uid.KeyObjectSelectionDocumentStorage}">
KeyObjectSelectionDocumentStorage</sopclass>
<charset>ISO_IR 192</charset>
<modality>KO</modality>
<series uid="{_ROOT}.41"><number>41</number></series>
<instance uid="{_ROOT}.41.1"><number>1</number></instance>
<patient><name><first>Jane</first><middle>Q</middle><last>Doe</last></name>
<id>12345</id></patient>
<study uid="{_ROOT}.1"><id>1</id><date>2023-07-05</date><time>10:15:00</time>
<description>CT Thorax</description></study>
<evidence type="Current Requested Procedure"><study uid="{_ROOT}.1">
<series uid="{_ROOT}.3.1">{"".join(_VALUES)}</series></study></evidence>
<document><content><date>2023-07-05</date><time>12:30:00</time>
<container flag="SEPARATE"><concept><value>113000</value><scheme>
<designator>DCM</designator></scheme><meaning>Of Interest</meaning></concept>
{"".join(_ITEMS)}</container></content></document></report>"""


def _encoded(folder: Path) -> bytes:
    """Let ffmpeg encode a second of video; return the MP4."""
    need("ffmpeg")
    made = folder / "given.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=25"]
    codec = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]
    use("ffmpeg", "-v", "error", *source, *codec, made)
    data = made.read_bytes()
    made.unlink()
    return data


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a video."""
    return _encoded(tmp_path_factory.mktemp("video"))


@pytest.fixture(scope="module")
def mounted(
    mount_once: Mounter, stream: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Mount:
    """Mount what the others made, and indexed, with extras."""
    root = write_images(tmp_path_factory.mktemp("medium") / "made")
    for tool in _TOOLS:
        _encapsulate(tool, root)
    _video(root, stream)
    _key_objects_of_pydicom(root)
    # Of its images, one is on no medium.
    _xml2dsr(root, "KO2", _XML)
    _xml2dsr(root, "SR1", REPORT)
    return mount_once(pydicom_fileset(root), "--extras")


def _by_extension(mounted: Mount) -> Mapping[str, Path]:
    return {each.suffix: each for each in mounted.files()}


@pytest.mark.parametrize("tool", _TOOLS)
def test_a_document_comes_out_as_it_went_in(tool: str, mounted: Mount) -> None:
    mime, number, title, extension = _TOOLS[tool]
    file = _by_extension(mounted)[extension]

    assert file.read_bytes().rstrip(b"\0") == KINDS[mime][1].rstrip(b"\0")
    assert str(file.relative_to(mounted.place)).startswith(f"{_STUDY}/{number:03} ")
    assert title in file.name


def test_a_video_is_the_one_that_was_encoded_and_is_played(
    mounted: Mount, stream: bytes
) -> None:
    need("ffprobe")
    file = _by_extension(mounted)[".mp4"]
    assert file.read_bytes()[: len(stream)] == stream

    about = ["-show_entries", "stream=codec_name,nb_read_frames", "-of", "default=nk=1"]
    played = run(["ffprobe", "-v", "error", "-count_frames", *about, str(file)])
    assert (played.stdout.split()[1:3], played.stderr) == (["h264", "25"], "")


@pytest.mark.parametrize("extension", [".html", ".txt"])
def test_a_report_says_what_was_written(extension: str, mounted: Mount) -> None:
    page = next(mounted.place.glob(f"Müller*/*/088 SR Befund/*{extension}"))
    told = page.read_text(encoding="utf-8")

    for words in ("Befund für Ärzte", "Finding", "Alles gut", "Müller, Jürgen"):
        assert words in told


def test_pydicoms_choice_is_a_folder_of_links(mounted: Mount) -> None:
    folder = mounted.place / _STUDY / "Key images for Surgery"
    deep = mounted.place / _IMAGES / "0010.dcm"
    bone = mounted.place / _STUDY / "005 CT Bone 2.0/0001.dcm"

    found = sorted(folder.iterdir())
    assert [each.name for each in found] == ["01 003-0010.dcm", "02 005-0001.dcm"]
    for link, file in zip(found, (deep, bone), strict=True):
        assert link.samefile(file)
        assert (link.stat().st_nlink, file.stat().st_nlink) == (2, 2)
        assert link.read_bytes() == file.read_bytes()


def test_dcmtks_choice_is_one_too_and_what_is_missing_is_said(mounted: Mount) -> None:
    folder = mounted.place / _STUDY / "Key images of Interest"
    names = sorted(each.name for each in folder.iterdir())

    assert names == ["01 003-0002.dcm", "02 003-0001.dcm"]
    told = (mounted.place / ".dicomfs/report.txt").read_text()
    assert "key images are not there" in told
    assert "1 of 3 not found" in told


def test_thunar_finds_pictures_of_key_images_too(mounted: Mount) -> None:
    link = mounted.place / _STUDY / "Key images for Surgery/01 003-0010.dcm"
    file = mounted.place / _IMAGES / "0010.dcm"

    assert shared(link).read_bytes() == shared(file).read_bytes()
    assert not shared(link.with_name("0010.dcm")).exists()


def test_what_one_choice_has_another_need_not_have(mounted: Mount) -> None:
    files = (mounted.place / _IMAGES).glob("*.dcm")
    links = {each.name: each.stat().st_nlink for each in files}

    assert links == {"0001.dcm": 2, "0002.dcm": 2, "0010.dcm": 2}
    other = next(mounted.place.glob("Yamada*/*/*/0001.dcm"))
    assert other.stat().st_nlink == 1


@pytest.mark.parametrize(
    "copy",
    [["cp", "-a"], ["rsync", "-aH"], ["tar"]],
    ids=["cp", "rsync", "tar"],
)
def test_a_copy_has_each_file_once(
    copy: list[str], mounted: Mount, tmp_path: Path
) -> None:
    need(copy[0])
    study = mounted.place / _STUDY
    if copy == ["tar"]:
        packed = tmp_path / "packed.tar"
        assert run(["tar", "-C", str(study), "-cf", str(packed), "."]).returncode == 0
        assert run(["tar", "-C", str(tmp_path), "-xf", str(packed)]).returncode == 0
        packed.unlink()
    else:
        done = run([*copy, f"{study}/.", str(tmp_path)])
        assert done.returncode == 0, done.stderr

    shown = [each for each in study.rglob("*") if each.is_file()]
    copied = [each for each in on_disk(tmp_path) if each.is_file()]
    assert len(copied) == len(shown)
    assert len({e.stat().st_ino for e in copied}) == len(
        {e.stat().st_ino for e in shown}
    )
    assert len(copied) - len({each.stat().st_ino for each in copied}) == 4


def test_a_second_rsync_that_keeps_links_moves_nothing(
    mounted: Mount, tmp_path: Path
) -> None:
    need("rsync")
    command = ["rsync", "-aH", "--itemize-changes", f"{mounted.place}/", str(tmp_path)]
    first, second = run(command), run(command)

    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout == ""


def test_what_is_counted_by_size_counts_once(mounted: Mount) -> None:
    study = mounted.place / _STUDY
    with_links = run(["du", "-s", "--apparent-size", "-B1", str(study)]).stdout.split()[
        0
    ]
    files = {e.stat().st_ino: e.stat().st_size for e in study.rglob("*") if e.is_file()}

    assert int(with_links) == sum(files.values())


def test_a_file_stays_itself_whichever_way_it_was_found_first(
    mounted: Mount, tmp_path: Path
) -> None:
    link = mounted.place / _STUDY / "Key images of Interest/01 003-0002.dcm"
    file = mounted.place / _IMAGES / "0002.dcm"
    with link.open("rb") as opened:
        shutil.copyfile(file, tmp_path / "copy")
        assert opened.read() == (tmp_path / "copy").read_bytes()
    assert link.samefile(file)
