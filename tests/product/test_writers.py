"""File-sets made by other people's writers: DCMTK, GDCM and pydicom.

Each of them indexes the same instances. What the tree must be is spelt out below; every
file in it must be the one on the medium, byte for byte.
"""

import hashlib
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pydicom
import pytest
from pydicom import uid

from tests.build.medium import Raw, Value, instance_bytes
from tests.support import trees
from tests.support.mounting import Finished, Mounter, dicomfs, need, python, run

_ROOT: Final = "1.2.826.0.1.3680043.8.498.7"
_SIDE: Final = 16

_THORAX: Final = "Doe, Jane Q (12345)/2023-07-05 CT Thorax"
_SKULL: Final = "Müller, Jürgen (77)/2019-01-02 CT Schädel"
_HEAD: Final = "Yamada, Tarou 山田 太郎 (P-3)/2021-11-30 頭部"

# The images, by their place in the tree, and where they lie on the medium.
IMAGES: Final = {
    f"{_THORAX}/003 CT Lung 1.0/0001.dcm": "DICOM/CT3/I1",
    f"{_THORAX}/003 CT Lung 1.0/0002.dcm": "DICOM/CT3/I2",
    f"{_THORAX}/003 CT Lung 1.0/0010.dcm": "DICOM/CT3/I10",
    f"{_THORAX}/005 CT Bone 2.0/0001.dcm": "DICOM/CT5/I1",
    f"{_SKULL}/007 CT Schädel nativ/0001.dcm": "DICOM/CT7/I1",
    f"{_SKULL}/007 CT Schädel nativ/0002.dcm": "DICOM/CT7/I2",
    f"{_HEAD}/001 MR 頭部 T1/0001.dcm": "DICOM/MR1/I1",
}
# The same without what only the instances say.
UNDESCRIBED: Final = {
    re.sub(r"/(\d+ \w\w)[^/]*/", r"/\1/", path): file for path, file in IMAGES.items()
}
# What the tools of DCMTK make of these images: a presentation state, a PDF, documents.
DOCUMENTS: Final = {
    f"{_THORAX}/001 PR/0001 PR Bone window.dcm": "DICOM/DOC/PR1",
    f"{_THORAX}/020 DOC/0001 PDF Arztbrief.dcm": "DICOM/DOC/PDF1",
    f"{_SKULL}/088 SR Befund/0001 SR Befund für Ärzte.dcm": "DICOM/DOC/SR1",
    f"{_SKULL}/089 KO Auswahl/0001 KO Of Interest.dcm": "DICOM/DOC/KO1",
}


# -- the instances ---------------------------------------------------------------------


def _write(path: Path, *levels: dict[str, Value]) -> None:
    """Write an image that has all that *levels* say, numbered as its file is."""
    known: dict[str, Value] = {}
    for level in levels:
        known |= level
    number = path.name.removeprefix("I")
    series_uid = known["SeriesInstanceUID"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        instance_bytes(
            known,
            SOPInstanceUID=f"{series_uid!s}.{number}",
            InstanceNumber=number,
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            Rows=_SIDE,
            Columns=_SIDE,
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelData=Raw("OW", struct.pack(f"<{_SIDE**2}H", *range(_SIDE**2))),
        )
    )


def _study(number: int, date: str, description: str) -> dict[str, Value]:
    """Return what the instances of one study have in common."""
    return {
        "StudyInstanceUID": f"{_ROOT}.{number}",
        "StudyDate": date,
        "StudyTime": "101500",
        "StudyDescription": description,
        "StudyID": str(number),
        "AccessionNumber": None,
    }


def _series(number: int, modality: str, description: str) -> dict[str, Value]:
    """Return what the instances of one series have in common."""
    classes = {"CT": uid.CTImageStorage, "MR": uid.MRImageStorage}
    return {
        "SOPClassUID": classes[modality],
        "SeriesInstanceUID": f"{_ROOT}.{number}.1",
        "SeriesNumber": number,
        "Modality": modality,
        "SeriesDescription": description,
    }


_JANE: Final[dict[str, Value]] = {"PatientName": "Doe^Jane^Q", "PatientID": "12345"}
_JUERGEN: Final[dict[str, Value]] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": "Müller^Jürgen",
    "PatientID": "77",
}
_TAROU: Final[dict[str, Value]] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "PatientID": "P-3",
}


_SERIES: Final = {
    "DICOM/CT3": (
        _JANE,
        _study(1, "20230705", "CT Thorax"),
        _series(3, "CT", "Lung 1.0"),
    ),
    "DICOM/CT5": (
        _JANE,
        _study(1, "20230705", "CT Thorax"),
        _series(5, "CT", "Bone 2.0"),
    ),
    "DICOM/CT7": (
        _JUERGEN,
        _study(2, "20190102", "CT Schädel"),
        _series(7, "CT", "Schädel nativ"),
    ),
    "DICOM/MR1": (
        _TAROU,
        _study(4, "20211130", "頭部"),
        _series(1, "MR", "頭部 T1"),
    ),
}


def write_images(root: Path) -> Path:
    """Write the images, and no DICOMDIR, to *root*; return it."""
    for file in IMAGES.values():
        _write(root / file, *_SERIES[str(Path(file).parent)])
    return root


def write_documents(root: Path) -> Path:
    """Let DCMTK make documents that belong to the images in *root*; return it."""
    folder = root / "DICOM/DOC"
    folder.mkdir()
    use("dcmpsmk", root / "DICOM/CT3/I1", folder / "PR1")
    use("dcmodify", "-nb", "-i", "(0070,0081)=Bone window", folder / "PR1")
    pdf = root / "letter.pdf"
    pdf.write_bytes(b"%PDF-1.4\ntrailer<</Root 1 0 R>>\n%%EOF\n")
    # the rest of the study is not copied, and DCMTK indexes no contradictions
    said = ["StudyDate=20230705", "StudyTime=101500", "StudyID=1", "SeriesNumber=20"]
    keys = [part for key in [*said, "AccessionNumber="] for part in ("--key", key)]
    study = ["--study-from", str(root / "DICOM/CT3/I1")]
    use("pdf2dcm", "--title", "Arztbrief", *study, *keys, pdf, folder / "PDF1")
    pdf.unlink()
    for name, document in {"SR1": REPORT, "KO1": _KEY_OBJECTS}.items():
        xml = root / "document.xml"
        xml.write_text(document, encoding="utf-8")
        need("xml2dsr")
        assert run(["xml2dsr", str(xml), str(folder / name)]).returncode == 0
        xml.unlink()
    return root


def _sr(kind: str, sop_class: str, series: str, title: str, content: str) -> str:
    """Return a structured report about the skull as the XML of DCMTK."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<report type="{kind}">
{sop_class}
<charset>ISO_IR 192</charset>
{series}
<patient><name><first>Jürgen</first><last>Müller</last></name><id>77</id></patient>
<study uid="{_ROOT}.2"><id>2</id><date>2019-01-02</date><time>10:15:00</time>
<description>CT Schädel</description></study>
<document><content><date>2019-01-02</date><time>12:30:00</time>
<container flag="SEPARATE"><concept>{title}</concept>{content}</container>
</content></document></report>"""


def _concept(value: str, scheme: str, meaning: str) -> str:
    return (
        f"<value>{value}</value><scheme><designator>{scheme}</designator></scheme>"
        f"<meaning>{meaning}</meaning>"
    )


_FINDING: Final = _concept("121071", "DCM", "Finding")
REPORT: Final = _sr(
    "Basic Text SR",
    f'<sopclass uid="{uid.BasicTextSRStorage}">BasicTextSRStorage</sopclass>',
    "<modality>SR</modality>"
    f'<series uid="{_ROOT}.88"><number>88</number><description>Befund</description>'
    f'</series><instance uid="{_ROOT}.88.1"><number>1</number></instance>',
    _concept("1", "99LOCAL", "Befund für Ärzte"),
    f"<text><relationship>CONTAINS</relationship><concept>{_FINDING}</concept>"
    "<value>Alles gut</value></text>",
)
_KEY_OBJECTS: Final = _sr(
    "Key Object Selection Document",
    f'<sopclass uid="{uid.KeyObjectSelectionDocumentStorage}">'
    "KeyObjectSelectionDocumentStorage</sopclass>",
    "<modality>KO</modality>"
    f'<series uid="{_ROOT}.89"><number>89</number><description>Auswahl</description>'
    f'</series><instance uid="{_ROOT}.89.1"><number>1</number></instance>',
    _concept("113000", "DCM", "Of Interest"),
    "",
)


def on_disk(folder: Path) -> list[Path]:
    """Return the files below *folder*, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


# -- the writers -----------------------------------------------------------------------


def use(*command: str | Path, cwd: Path | None = None) -> Finished:
    """Run a tool that makes something; it must not fail."""
    need(str(command[0]))
    done = run([str(each) for each in command], cwd=cwd, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    return done


def dcmmkdir(root: Path, *options: str) -> Path:
    """Let DCMTK index the files in *root*, in the order of their names; return it."""
    files = [path.relative_to(root) for path in on_disk(root)]
    done = use("dcmmkdir", *options, *files, cwd=root)
    assert "cannot be added" not in done.stderr
    return root


def gdcmgendir(root: Path) -> Path:
    """Let GDCM index the files in *root*; return it."""
    command = ["gdcmgendir", "--recursive", "--root-uid", _ROOT, "--input", "."]
    use(*command, "--output", "DICOMDIR", cwd=root)
    return root


def pydicom_fileset(root: Path) -> Path:
    """Let pydicom make a File-set of its own out of the files in *root*; return it."""
    made = root.with_name("pydicom")
    python(_PYDICOM_WRITER, made, *on_disk(root))
    return made


# In a process of its own: pydicom warns of a temporary folder that it leaves to chance.
_PYDICOM_WRITER: Final = """
import sys
from pydicom.fileset import FileSet
file_set = FileSet()
for file in sys.argv[2:]:
    file_set.add(file)
file_set.write(sys.argv[1])
"""


Index = Callable[[Path], Path]


def _with(*options: str) -> Index:
    return lambda root: dcmmkdir(root, *options)


DCMTK: Final = {
    "plain": _with(),
    "icons": _with("+X"),
    "undefined lengths": _with("--length-undefined"),
    "group lengths": _with("--group-length-create"),
    "DVD profile": _with("-Pdv"),
}
WRITERS: Final = {
    **{f"dcmmkdir, {name}": index for name, index in DCMTK.items()},
    "gdcmgendir": gdcmgendir,
    "pydicom": pydicom_fileset,
}


# -- what must be seen -----------------------------------------------------------------


def files_of(root: Path, *, read_headers: bool = True) -> dict[str, bytes]:
    """Return the files of the tree of a medium, without mounting it."""
    seen = trees.look(root, read_headers=read_headers)
    assert [path for path, each in seen.items() if each.error] == []
    return {path: seen[path].data for path in trees.files(seen)}


def expected(root: Path, *parts: dict[str, str]) -> dict[str, bytes]:
    """Return what files the tree must have, where *root* has the instances."""
    return {
        path: (root / file).read_bytes()
        for part in parts
        for path, file in part.items()
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder with the images, and no DICOMDIR."""
    return write_images(tmp_path / "medium")


@pytest.fixture
def documented(images: Path) -> Path:
    """Return a folder with the images and the documents, and no DICOMDIR."""
    return write_documents(images)


@pytest.mark.slow
@pytest.mark.parametrize("index", WRITERS.values(), ids=WRITERS)
def test_the_tree_is_the_same_whoever_wrote_the_index(
    index: Index, images: Path
) -> None:
    must_be = expected(images, IMAGES)
    assert files_of(index(images)) == must_be


@pytest.mark.slow
@pytest.mark.parametrize("index", WRITERS.values(), ids=WRITERS)
def test_series_are_described_by_their_instances_where_the_index_does_not(
    index: Index, images: Path
) -> None:
    must_be = expected(images, UNDESCRIBED)
    medium = index(images)

    records = pydicom.dcmread(medium / "DICOMDIR").DirectoryRecordSequence
    series = [each for each in records if each.DirectoryRecordType == "SERIES"]
    assert len(series) == 4
    assert [each for each in series if "SeriesDescription" in each] == []
    assert files_of(medium, read_headers=False) == must_be


@pytest.mark.slow
@pytest.mark.parametrize("index", DCMTK.values(), ids=DCMTK)
def test_dcmtk_indexes_documents_that_say_what_they_are(
    index: Index, documented: Path
) -> None:
    must_be = expected(documented, IMAGES, DOCUMENTS)
    assert files_of(index(documented)) == must_be


@pytest.mark.slow
def test_pydicom_indexes_documents_that_say_what_they_are(documented: Path) -> None:
    must_be = expected(documented, IMAGES, DOCUMENTS)
    assert files_of(pydicom_fileset(documented)) == must_be


@pytest.mark.slow
def test_documents_that_gdcm_indexes_as_images_are_where_they_belong(
    documented: Path,
) -> None:
    # Of the SOP Class alone: what is encapsulated, the record of an image does not say.
    as_images = {
        re.sub(r"/(\d+ \w+)[^/]*\.dcm$", r"/\1.dcm", path).replace("PDF", "DOC"): file
        for path, file in DOCUMENTS.items()
    }
    must_be = expected(documented, IMAGES, as_images)
    assert files_of(gdcmgendir(documented)) == must_be


@pytest.mark.slow
@pytest.mark.parametrize("index", WRITERS.values(), ids=WRITERS)
def test_a_medium_in_lower_case_has_the_identical_tree(
    index: Index, images: Path, tmp_path: Path
) -> None:
    medium = index(images)
    copy = tmp_path / "lower"
    for path in on_disk(medium):
        to = copy / str(path.relative_to(medium)).lower()
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)

    assert not (copy / "DICOMDIR").exists()
    assert trees.look(copy) == trees.look(medium)


def test_names_that_dcmtk_mapped_to_upper_case_are_found(images: Path) -> None:
    must_be = expected(images, IMAGES)
    lower = images.with_name("lower")
    for file in IMAGES.values():
        to = lower / file.lower()
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images / file, to)
    dcmmkdir(lower, "--map-filenames")

    assert files_of(lower) == must_be


# -- records that belong to no patient -------------------------------------------------


_HASH: Final = hashlib.sha256(f"{_ROOT}.100".encode()).hexdigest()[:8]
_ROOT_LEVEL: Final[dict[str, dict[str, Value]]] = {
    # pydicom leaves the name of a hanging protocol out of its record
    f"Other/Hanging protocol/Hanging protocol {_HASH}.dcm": {
        "SOPClassUID": uid.HangingProtocolStorage,
        "HangingProtocolName": "Mammo 2x2",
        "HangingProtocolCreator": "us",
        "HangingProtocolCreationDateTime": "20230705101500",
        "HangingProtocolDefinitionSequence": [{"Modality": "MG"}],
        "NumberOfPriorsReferenced": 0,
    },
    "Other/Palette/Hot iron.dcm": {
        "SOPClassUID": uid.ColorPaletteStorage,
        "ContentLabel": "HOT_IRON",
        "ContentDescription": "Hot iron",
    },
    "Other/Implant/Hip 3.dcm": {
        "SOPClassUID": uid.GenericImplantTemplateStorage,
        "Manufacturer": "us",
        "ImplantName": "Hip 3",
        "ImplantPartNumber": "3",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "instance"), _ROOT_LEVEL.items(), ids=["protocol", "palette", "implant"]
)
def test_what_belongs_to_no_patient_has_a_folder_for_its_kind(
    place: str, instance: dict[str, Value], tmp_path: Path
) -> None:
    data = instance_bytes(instance, size=None, SOPInstanceUID=f"{_ROOT}.100")
    folder = tmp_path / "medium"
    folder.mkdir()
    (folder / "INSTANCE").write_bytes(data)

    assert files_of(pydicom_fileset(folder)) == {place: data}


# -- mounted ---------------------------------------------------------------------------


@pytest.mark.mount
@pytest.mark.parametrize("writer", ["dcmmkdir, icons", "gdcmgendir", "pydicom"])
def test_a_mount_has_all_files_byte_by_byte(
    writer: str, images: Path, mount: Mounter
) -> None:
    must_be = expected(images, IMAGES)
    medium = WRITERS[writer](images)
    mounted = mount(medium)

    assert {
        str(path.relative_to(mounted.place)): path.read_bytes()
        for path in mounted.files()
    } == must_be


@pytest.mark.slow
def test_the_tree_is_printed_with_the_same_names(documented: Path) -> None:
    dcmmkdir(documented, "+X")
    printed = dicomfs("tree", documented).stdout

    names = {name for path in [*IMAGES, *DOCUMENTS] for name in path.split("/")}
    assert {line.lstrip("│├└─ ") for line in printed.splitlines()} == names
