"""Files under other names than their File IDs: found if their headers confirm it."""

import unicodedata
from collections.abc import Mapping
from typing import Literal

import pytest

from dicomfs.fileset import guesses
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.fileset.fileset import FileSet
from dicomfs.fileset.spelling import CODECS, Spellings, paths, readings
from dicomfs.findings import Kind
from tests.build.medium import Record, build_dicomdir, image, instance_bytes
from tests.support.trees import CountingFake, FakeMedium, files, look

UID = "1.2.3.4"
OTHER = "1.2.3.5"


def one(uid: str = UID) -> bytes:
    return instance_bytes(SOPInstanceUID=uid)


def medium(
    file_id: bytes, names: Mapping[str, bytes], character_set: str = ""
) -> FakeMedium:
    """Return a medium of one record, and of files by their names."""
    listed = image(UID, file=file_id)
    if character_set:
        listed["SpecificCharacterSet"] = character_set
    return FakeMedium({"DICOMDIR": build_dicomdir([listed]), **names})


def found(there: FakeMedium) -> list[str]:
    """Return where the files of all records lie, the same for listing and for headers."""
    [file_set] = open_file_sets(there)
    items = [*file_set.everything()]
    located = file_set.locate_all(
        [item.file_id for item in items], lambda number: items[number].clue
    )
    places = [each[0] for each in located if not isinstance(each, Exception)]
    for item, each in zip(items, located, strict=True):
        assert (item.header() is None) == isinstance(each, Exception)
    return [b"/".join(place).decode("utf-8", "replace") for place in places]


WRITTEN = [
    ("影像\\图1", "gbk", "GB18030"),
    ("影像\\图1", "gbk", ""),
    ("画像\\表示1", "cp932", ""),
    ("画像\\表示1", "cp932", "ISO_IR 13"),
    ("영상\\가1", "cp949", ""),
    ("影像\\功能1", "cp950", ""),
    ("Bilder\\Schädel1", "cp1252", "ISO_IR 100"),
    ("Bilder\\Schädel1", "cp850", ""),
    ("Снимки\\жизнь1", "cp1251", ""),
    ("Снимки\\жизнь1", "cp866", ""),
    ("Obrazy\\Łokieć1", "cp1250", ""),
    ("Bilder\\Schädel1", "utf_8", ""),
    ("Bilder\\Schädel1", "utf_8", "ISO_IR 100"),
]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(("name", "codec", "character_set"), WRITTEN)
def test_a_file_id_in_another_character_set_finds_its_file(
    name: str, codec: str, character_set: str, form: Literal["NFC", "NFD"]
) -> None:
    path = unicodedata.normalize(form, name.replace("\\", "/"))

    there = medium(name.encode(codec), {path: one(), "x/y": one(OTHER)}, character_set)

    assert found(there) == [path]


def test_a_name_that_was_unpacked_as_dos_would_have_it_is_found() -> None:
    file_id = "影像\\图1".encode("gbk")
    garbled = file_id.decode("cp437").replace("\\", "/")

    assert found(medium(file_id, {garbled: one()})) == [garbled]


CUT = [
    ("DICOM\\ABCDEFGHIJ", "DICOM/ABCDEF~1"),
    ("DICOM\\ABCDEFGHIJ", "dicom/abcdef~1"),
    ("DICOM\\ABCDEFGHIJ", "DICOM/ABCDE~12"),
    ("DICOM\\ABCDEFGHIJ", "DICOM/AB12F4~1"),
    ("DICOM\\ABCDEFGHIJ", "DICOM/ABCDEFGH"),
    ("DICOM\\ABCDEFGHIJ", "DICOM/ABCDE003"),
    ("DICOM\\ABCDEFGHIJ.DICOM", "DICOM/ABCDEF~1.DIC"),
    ("PATIENT_0001\\STUDY 1 A\\I1", "PATIEN~1/STUDY1~1/I1"),
    ("DICOM\\ABCDEF~1", "DICOM/ABCDEFGHIJ"),
    ("DICOM\\ABCDEFGH", "DICOM/ABCDEFGHIJ"),
]


@pytest.mark.parametrize(("file_id", "path"), CUT)
def test_a_name_that_was_cut_is_found(file_id: str, path: str) -> None:
    beside = path.rpartition("/")[0] + "/ABCDEX~1"

    there = medium(file_id.encode(), {path: one(), beside: one(OTHER)})

    assert found(there) == [path]


DOWNLOADED = [
    *("I0002 (1)", "I0002(1)", "I0002 (1).dcm", "I0002.dcm (2)", "I0002.dcm.dcm"),
    *("I0002_(3)", "I0002[1]", "I0002.1", "I0002.dcm.1", "I0002 - Copy"),
    *("I0002 - Kopie (2)", "Copy of I0002", "i0002.txt", "I0002.bin", "I0002.DCM.txt"),
]


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_name_that_a_download_changed_is_found(name: str) -> None:
    assert found(medium(b"DICOM\\I0002", {f"DICOM/{name}": one()})) == [f"DICOM/{name}"]


@pytest.mark.parametrize("folder", ["DICOM (1)", "DICOM - Kopie", "dicom(2)"])
def test_a_folder_that_a_download_changed_is_found(folder: str) -> None:
    path = f"{folder}/I1"

    assert found(medium(b"DICOM\\I1", {path: one()})) == [path]


EXTENDED = pytest.mark.parametrize(
    ("file_id", "name"),
    [("I1", "I1.dcm"), ("I1", "i1.DCM"), ("I1", "I1.dcm;1"), ("I1.DCM", "I1")],
)


@EXTENDED
def test_a_file_with_an_extension_more_or_less_has_to_confirm_it(
    file_id: str, name: str
) -> None:
    wanted = f"DICOM\\{file_id}".encode()

    assert found(medium(wanted, {f"DICOM/{name}": one()})) == [f"DICOM/{name}"]
    for other in (one(OTHER), b"no DICOM" * 50):
        assert found(medium(wanted, {f"DICOM/{name}": other})) == []


@EXTENDED
def test_an_extension_cannot_be_held_against_a_record_without_a_uid(
    file_id: str, name: str
) -> None:
    index = build_dicomdir([image(None, file=file_id)])

    assert found(FakeMedium({"DICOMDIR": index, name: one()})) == [name]


@pytest.mark.parametrize("name", ["I1", "i1", "I1;1", "i1.;1", "I1."])
def test_case_version_and_a_dot_at_the_end_are_no_guess(name: str) -> None:
    there = medium(b"DICOM\\I1", {f"DICOM/{name}": one(OTHER)})

    assert found(there) == [f"DICOM/{name}"]


def test_of_several_that_fit_the_one_is_taken_that_its_header_confirms() -> None:
    names = {f"DICOM/ABCDEF~{n}": one(f"1.2.3.{n}") for n in range(1, 10)}

    assert found(medium(b"DICOM\\ABCDEFGHIJ", names)) == ["DICOM/ABCDEF~4"]


def test_of_two_that_differ_in_case_only_the_confirmed_one_is_taken() -> None:
    names = {"DICOM/i1": one(), "DICOM/I1.": one(OTHER)}

    assert found(medium(b"DICOM\\I1", names)) == ["DICOM/i1"]


@pytest.mark.parametrize(
    "names",
    [
        {"DICOM/I1 (1)": one(OTHER)},
        {"DICOM/I1 (1)": b"no DICOM" * 50},
        {"DICOM/I1 (1)": b""},
        {"DICOM/I1 (1)": one(), "DICOM/I1 (2)": one()},
        {"DICOM/ELSE": one()},
        {"DICOM/I1 (1)/x": one()},
    ],
    ids=["other", "not-dicom", "empty", "two", "no-likeness", "folder"],
)
def test_what_nothing_confirms_stays_missing(names: dict[str, bytes]) -> None:
    assert found(medium(b"DICOM\\I1", names)) == []


def test_a_record_without_a_uid_finds_nothing_under_another_name() -> None:
    index = build_dicomdir([image(None, file="I1")])

    assert found(FakeMedium({"DICOMDIR": index, "I1 (1)": one()})) == []


def test_nothing_is_opened_where_all_names_are_right() -> None:
    there = CountingFake({"DICOMDIR": build_dicomdir([image(UID, file="I1")])})
    there._files[(b"i1",)] = there._files[(b"I1 (1)",)] = one()
    [file_set] = open_file_sets(there)
    there.opened.clear()

    items = [*file_set.everything()]
    file_set.locate_all([b"I1"], lambda number: items[number].clue)

    assert there.opened == []


def test_a_tree_shows_what_lies_under_other_names_and_the_report_says_so() -> None:
    names = ["I1", "I2 (1)", "I3.dcm.dcm", "I4 (1)"]
    images = [image(f"1.{n}", number=n, file=f"I{n}") for n in range(1, 5)]
    there = FakeMedium(
        {"DICOMDIR": build_dicomdir(images)}
        | {name: one(f"1.{n}") for n, name in enumerate(names, 1)}
    )

    seen = look(there)

    assert [seen[path].error for path in files(seen)] == [0] * 4
    assert {seen[path].data for path in files(seen)} == {
        one(f"1.{n}") for n in range(1, 5)
    }


def renamed(file_set: FileSet) -> list[tuple[int, tuple[str, ...]]]:
    alike = [f for f in file_set.findings.all() if f.kind is Kind.FILES_RENAMED]
    return [(each.count, each.files) for each in alike]


def test_files_under_other_names_are_one_remark() -> None:
    images: list[Record] = [image(f"1.{n}", file=f"I{n}") for n in range(9)]
    there = FakeMedium(
        {"DICOMDIR": build_dicomdir(images)}
        | {f"I{n} (1)": one(f"1.{n}") for n in range(9)}
    )
    [file_set] = open_file_sets(there)
    items = [*file_set.everything()]

    for _ in range(2):
        for item in items:
            assert item.header() is not None

    assert renamed(file_set) == [(9, ("I0 (1)", "I1 (1)", "I2 (1)"))]
    assert not Kind.FILES_RENAMED.is_fault


def test_a_search_that_comes_to_its_bound_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guesses, "MOST_HEADERS", 3)
    names = {f"ABCDEF~{n}": one(f"1.2.3.{n}") for n in range(10, 20)}
    [file_set] = open_file_sets(medium(b"ABCDEFGHIJ", names))

    [item] = file_set.everything()

    assert item.header() is None
    assert Kind.SEARCH_ENDED in {each.kind for each in file_set.findings.all()}


def test_a_file_set_that_was_moved_has_its_files_under_other_names_too() -> None:
    images = [image(f"1.{n}", file=f"DICOM\\CT\\I{n}") for n in range(5)]
    there = FakeMedium(
        {"DICOMDIR": build_dicomdir(images)}
        | {f"elsewhere/CT/I{n}": one(f"1.{n}") for n in range(4)}
        | {"elsewhere/CT/I4 (1)": one("1.4")}
    )

    assert "elsewhere/CT/I4 (1)" in found(there)


def test_files_that_were_renamed_in_their_folder_are_not_those_of_a_copy() -> None:
    images = [image(f"1.{n}", file=f"DICOM\\I{n}") for n in range(3)]
    index = build_dicomdir(images)
    whole = {f"A/DICOM/I{n}": one(f"1.{n}") for n in range(3)}
    renamed = {f"B/DICOM/I{n} (1)": one(f"1.{n}") for n in range(3)}
    there = FakeMedium({"A/DICOMDIR": index, "B/DICOMDIR": index, **whole, **renamed})

    _, second = open_file_sets(there)
    items = [*second.everything()]
    located = second.locate_all(
        [item.file_id for item in items], lambda number: items[number].clue
    )

    places = [each[0] for each in located if not isinstance(each, Exception)]
    assert places == [(b"B", b"DICOM", b"I%d (1)" % n) for n in range(3)]
    assert Kind.FILES_MOVED not in {each.kind for each in second.findings.all()}


# -- pure ------------------------------------------------------------------------------


def test_a_separator_that_is_half_of_a_letter_separates_nothing() -> None:
    assert ("画像", "表示") in [*paths("画像\\表示".encode("cp932"), ())]


def test_no_path_leads_up() -> None:
    assert [*paths(b"..\\secret", ()), *paths(b"A\\..\\..\\x", ())] == []


def test_ascii_is_read_in_one_way() -> None:
    assert readings(b"I1", (b"ISO_IR 192",)) == ["I1"]


def test_every_character_set_of_a_name_can_be_read() -> None:
    assert all("é" in readings("é".encode(c), ()) for c in CODECS if _has(c, "é"))


def _has(codec: str, letter: str) -> bool:
    try:
        letter.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def test_a_name_is_never_what_another_is_not() -> None:
    names = Spellings([b"I1", b"I10", b"I11", b"XI1", b"I1_2", b"1.2.3", b"1.2.4"])

    assert names.called("I1") == [b"I1"]
    assert names.called("1.2.3") == [b"1.2.3"]
    assert names.called("I2") == []
