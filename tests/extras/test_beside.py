"""What is listed beside instances, and how it is called."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from dicomfs.dicom.types import Level
from dicomfs.documents import reading
from dicomfs.extras import adding
from dicomfs.extras.preview import Previews
from dicomfs.findings import Kind
from dicomfs.media.medium import Place
from dicomfs.source.source import Source
from dicomfs.tree import naming
from dicomfs.tree.naming import Name
from dicomfs.tree.node import FileNode
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    Raw,
    Record,
    Value,
    code,
    image,
    leaf,
    patient,
    series,
    study,
    write_medium,
)
from tests.build.reports import item
from tests.conftest import ExpectLog
from tests.documents.test_video import H264, MP4, fragmented, pieces
from tests.support.trees import CountingMedium, look_into, opened, tree_of, walk

PDF: Final = b"%PDF-1.7\n1 0 obj\n%%EOF\n"
FOLDER: Final = "Doe, Jane (12345)/2023-07-05 Study 1/001 DOC Reports"


def pdf(uid: str = "1.2.3.4", data: bytes = PDF, **more: Value) -> Record:
    """Return an instance that holds a PDF."""
    made = leaf("ENCAP DOC", uid, (), **more)
    made["MIMETypeOfEncapsulatedDocument"] = "application/pdf"
    made["DocumentTitle"] = more.get("DocumentTitle", "Report")
    made.say(
        EncapsulatedDocument=Raw("OB", data + b"\0" * (len(data) % 2)),
        EncapsulatedDocumentLength=len(data),
    )
    return made


def sr(uid: str = "1.2.3.5", **more: Value) -> Record:
    """Return a structured report."""
    made = leaf("SR DOCUMENT", uid, (), **more)
    made["ConceptNameCodeSequence"] = code("1", "99TEST", "Chest report")
    text = item("TEXT", "Finding", TextValue="No mass.")
    made.say(ContentSequence=[text], VerificationFlag="UNVERIFIED")
    return made


def video(uid: str = "1.2.3.6", **more: Value) -> Record:
    """Return an instance that holds a video in three fragments."""
    made = image(uid, (), size=None, **more)
    made["ReferencedTransferSyntaxUIDInFile"] = H264
    made.say(PixelData=Raw("OB", fragmented(pieces(MP4, 2000)), 0xFFFFFFFF))
    return made


def disc(
    root: Path,
    leaves: Iterable[Record],
    name: Value = "Doe^Jane",
    patient_id: Value = "12345",
    **about_study: Value,
) -> Path:
    """Write a medium with one series."""
    one = series("1.2.3", leaves, modality="DOC", description="Reports")
    write_medium(
        root, [patient(name, patient_id, [study("1.2", [one], **about_study)])]
    )
    return root


@contextmanager
def with_extras(*discs: Path) -> Iterator[Tree]:
    """Open the tree of *discs* as a mount with extras does, one that has all the time."""
    with tree_of(*discs) as tree:
        adding.add_to(tree, deadline=3600.0)
        yield tree


def files(tree: Tree) -> dict[str, FileNode]:
    """Return the files of *tree* by their paths."""
    return {path: node for path, node in walk(tree.root) if not node.is_folder}


def content(file: FileNode) -> bytes:
    with closing(file.open()) as source:
        return bytes(source.read_at(0, source.size))


def names(tree: Tree) -> list[str]:
    """Return the names in the one series of *tree*."""
    return [Path(path).name for path in files(tree) if path.count("/") == 3]


def test_a_document_lies_beside_its_instance(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, [pdf()])) as tree:
        found = files(tree)

        file = found[f"{FOLDER}/0001 PDF Report.pdf"]
        beside = found[f"{FOLDER}/0001 PDF Report.dcm"]
        assert (file.size, content(file)) == (len(PDF), PDF)
        assert (file.mtime_ns, file.parent) == (beside.mtime_ns, beside.parent)
        assert file.attributes == beside.attributes
        assert file.inode != beside.inode


def test_a_report_is_a_page_and_text(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, [sr()])) as tree:
        found = {Path(path).name: node for path, node in files(tree).items()}

        page = found["0001 SR Chest report.html"]
        text = found["0001 SR Chest report.txt"]
        assert [content(each)[:10] for each in (page, text)] == [
            b"<!DOCTYPE ",
            b"Chest repo",
        ]
        assert [len(content(each)) for each in (page, text)] == [page.size, text.size]
        assert b"Patient: Doe, Jane" in content(text)


def test_a_video_is_called_by_what_it_is(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, [video()])) as tree:
        file = files(tree)[f"{FOLDER}/0001.mp4"]

        assert file.size == len(MP4)
        assert content(file) == MP4


def test_a_reader_that_fails_in_an_unforeseen_way_costs_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    expect_log("looking for documents")

    def fail(source: Source) -> Mapping[str, Source]:
        raise ValueError(source.size)

    monkeypatch.setitem(reading._BY_TYPE, "SR DOCUMENT", fail)
    with with_extras(disc(tmp_path, [sr(), pdf(number=2)])) as tree:
        assert names(tree)[-2:] == ["0002 PDF Report.dcm", "0002 PDF Report.pdf"]
        assert [e.detail for e in tree.findings.all()] == ["it is not understood"]


def test_without_extras_nothing_is_listed_opened_or_loaded(tmp_path: Path) -> None:
    medium = CountingMedium(disc(tmp_path, [pdf(), image("1.2.3.5", number=2)]))
    with opened(medium) as tree:
        assert names(tree) == ["0001 PDF Report.dcm", "0002.dcm"]
    assert medium.opened == ["DICOMDIR"]


def test_only_what_may_hold_documents_is_opened(tmp_path: Path) -> None:
    images = [image(f"1.2.3.{n}", number=n, file=f"I{n}") for n in range(2, 9)]
    medium = CountingMedium(disc(tmp_path, [pdf(file="P1"), *images]))
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        assert len(names(tree)) == 9
    assert medium.opened == ["DICOMDIR", "P1"]


def test_what_a_record_calls_an_image_is_told_by_its_class(tmp_path: Path) -> None:
    one = pdf()
    one.record_type = "IMAGE"
    with with_extras(disc(tmp_path, [one])) as tree:
        assert [each for each in names(tree) if each.endswith(".pdf")]


def test_the_same_medium_gives_the_same_tree_again(tmp_path: Path) -> None:
    disc(tmp_path, [pdf(), pdf("1.2.3.5", number=2)])
    seen = []
    for _ in range(2):
        with with_extras(tmp_path) as tree:
            seen.append({**look_into(tree), "README.txt": None})

    assert seen[0] == seen[1]


def test_a_document_that_cannot_be_shown_is_told_of(tmp_path: Path) -> None:
    lying = pdf(data=b"MZ is a program")
    with with_extras(disc(tmp_path, [lying, pdf("1.2.3.5", number=2)])) as tree:
        assert names(tree) == [
            "0001 PDF Report.dcm",
            "0002 PDF Report.dcm",
            "0002 PDF Report.pdf",
        ]
        [finding] = [e for e in tree.findings.all() if e.kind is Kind.NO_DOCUMENT]

    assert finding.where == tuple(FOLDER.split("/"))
    assert finding.count == 1
    assert "MIME type" in finding.detail


def test_a_file_of_another_patient_shows_no_document(tmp_path: Path) -> None:
    stray = pdf()
    stray.say(PatientName="Roe^Richard", PatientID="999")
    with with_extras(disc(tmp_path, [stray])) as tree:
        assert names(tree) == ["0001 PDF Report.dcm"]
        kinds = {each.kind for each in tree.findings.all()}

    assert kinds == {Kind.NO_DOCUMENT, Kind.PATIENT_DISAGREES}


def test_a_missing_file_has_no_document(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, [pdf(path=None)])) as tree:
        assert names(tree) == ["0001 PDF Report (missing).dcm"]


def test_a_few_files_that_cannot_be_read_are_enough(tmp_path: Path) -> None:
    many = [pdf(f"1.2.3.{n}", number=n, file=f"P{n}") for n in range(1, 30)]
    disc(tmp_path, many)
    medium = CountingMedium(tmp_path, refuse=[f"P{n}" for n in range(1, 30)])
    with opened(medium) as tree:
        adding.add_to(tree, deadline=3600.0)
        assert len(names(tree)) == 29

    assert len(medium.opened) == 1 + 8


class Silent(CountingMedium):
    """A medium of which one file does not answer before the end of the test."""

    def __init__(self, root: Path, silent: bytes) -> None:
        super().__init__(root)
        self.is_over = threading.Event()
        self._silent = silent

    def open(self, path: Place) -> Source:
        """Open, or wait."""
        if path[-1] == self._silent:
            self.is_over.wait()
        return super().open(path)


@pytest.mark.slow
def test_a_file_that_hangs_costs_its_own_documents(tmp_path: Path) -> None:
    disc(tmp_path, [pdf(file="P1"), pdf("1.2.3.5", number=2, file="P2")])
    medium = Silent(tmp_path, b"P1")
    with opened(medium) as tree:
        adding.add_to(tree, deadline=2.0)
        try:
            assert names(tree)[-1] == "0002 PDF Report.pdf"
            assert len(names(tree)) == 3
        finally:
            medium.is_over.set()
        details = [e.detail for e in tree.findings.all() if e.kind is Kind.NO_DOCUMENT]

    assert details == ["no answer within 0.25 seconds"]


def test_a_file_that_was_changed_gives_an_error(tmp_path: Path) -> None:
    with with_extras(disc(tmp_path, [pdf(file="P1")])) as tree:
        file = files(tree)[f"{FOLDER}/0001 PDF Report.pdf"]
        data = (tmp_path / "P1").read_bytes()
        (tmp_path / "P1").write_bytes(data + b"more")

        with pytest.raises(OSError, match="not the one that was listed"):
            file.open()


@pytest.mark.parametrize(
    "about",
    [
        {"name": None, "patient_id": None},
        {"name": "Anonymous", "patient_id": "0000"},
        {"name": "", "patient_id": "NONE"},
        {"date": None},
        {"date": "yesterday"},
    ],
)
def test_where_the_path_does_not_say_who_and_when_the_name_has_a_hash(
    about: dict[str, Value], tmp_path: Path
) -> None:
    shown = []
    for number in (1, 2):
        root = tmp_path / f"{number}"
        root.mkdir()
        with with_extras(disc(root, [pdf(f"1.2.3.{number}")], **about)) as tree:
            shown += [path for path in files(tree) if path.endswith(".pdf")]

    assert len(set(shown)) == 2
    assert all(path[-15:-13] == " [" and path[-5] == "]" for path in shown)


@pytest.mark.parametrize("twins", [1, 2])
def test_records_without_uids_on_two_discs_do_not_share_the_hash(
    twins: int, tmp_path: Path
) -> None:
    """They lie at one place of both discs, under one File ID."""
    shown: list[set[str]] = []
    for letter in (b"A", b"B"):
        root = tmp_path / letter.decode()
        root.mkdir()
        documents = [
            pdf("", PDF + letter + b"%d" % n, number=1, file=f"D{n}")
            for n in range(twins)
        ]
        reports = [sr("", number=2, file="R")]
        reports[0].say(CompletionFlag="COMPLETE" if letter == b"A" else "PARTIAL")
        made = disc(root, [*documents, *reports], name="", patient_id="", date=None)
        with with_extras(made) as tree:
            shown.append({each for each in names(tree) if not each.endswith(".dcm")})
            again = {each for each in names(tree) if not each.endswith(".dcm")}
            assert again == shown[-1]

    assert [len(each) for each in shown] == [twins + 2, twins + 2]
    assert not shown[0] & shown[1]
    assert all(each.count("[") == 1 for each in shown[0] | shown[1])


def test_a_hash_that_the_instance_has_already_is_not_said_twice(tmp_path: Path) -> None:
    twins = [pdf("1.2.3.4"), pdf("1.2.3.5")]
    with with_extras(disc(tmp_path, twins, date=None)) as tree:
        stems = {Path(name).stem for name in names(tree)}

    assert len(stems) == 2


def test_a_name_is_none_of_those_that_are_taken() -> None:
    name = Name("0001 Report", ".pdf", (b"1", b"2"))
    taken = {"0001 report.pdf"}
    made = [naming.beside(name, taken) for _ in range(5)]

    assert len({naming.folded(each) for each in made}) == 5
    assert all(re.fullmatch(r"0001 Report \[[0-9a-f]+\]\.pdf", each) for each in made)
    assert len(taken) == 6


@pytest.mark.parametrize("title", ["Report", "A report whose title is long and longer"])
def test_names_stay_within_their_budget_and_apart(title: str, tmp_path: Path) -> None:
    leaves = [sr(f"1.2.3.{n}", number=1) for n in range(1, 4)]
    for each in leaves:
        each["ConceptNameCodeSequence"] = code("1", "99TEST", title)
    with with_extras(disc(tmp_path, leaves)) as tree:
        found = names(tree)

    assert len(found) == 9
    assert max(map(len, found)) <= naming.BUDGETS[Level.INSTANCE]
    assert all(re.search(r" \[[0-9a-f]{8}\]\.\w+$", each) for each in found)


@pytest.mark.parametrize(
    ("uids", "there"),
    [(("1.2.3", "1.2.3.1"), 1), (("", "1.2.3.1"), 1), (("", ""), 0)],
    ids=["of the series", "of the image", "none"],
)
def test_a_preview_that_nothing_tells_from_those_of_other_discs_is_not_there(
    tmp_path: Path, uids: tuple[str, str], there: int
) -> None:
    of_series, of_image = uids
    lungs = series(of_series, [image(of_image)])
    write_medium(tmp_path, [patient("", "", [study("1.2", [lungs], date="")])])
    with opened(tmp_path) as tree:
        adding.add_to(tree, previews=Previews(lambda _: b"", 0))
        names = [name for name, _ in walk(tree.root) if "preview" in name]

    assert len(names) == there
    assert not any("e3b0c442" in name for name in names)  # the hash of nothing
