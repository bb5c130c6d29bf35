"""Nodes: what they share, and what they say."""

from pathlib import Path

import pytest

from dicomfs.dicom import tags
from dicomfs.dicom.types import Level
from dicomfs.tree.node import FileNode, Fixed, FolderNode, Frozen, Once, Rendered
from dicomfs.tree.selection import Instance
from tests.build.medium import (
    image,
    large_dicomdir,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.trees import opened, walk


def test_what_files_have_in_common_is_kept_once(tmp_path: Path) -> None:
    large_dicomdir(tmp_path, records=2 + 2 * 41, images_per_series=40, files=True)

    with opened(tmp_path) as tree:
        shown = [node for _, node in walk(tree.root) if isinstance(node, Instance)]

    assert len(shown) == 80
    assert len({id(file.name) for file in shown}) == 40
    for each in (shown[:40], shown[40:]):
        numbers = [(f.size, f.mtime_ns, f.changed_ns) for f in each]
        together = [number for three in numbers for number in three]
        assert len(set(map(id, together))) == len(set(together)) < len(together)


def test_a_node_knows_what_the_records_say_about_it_and_those_above(
    tmp_path: Path,
) -> None:
    several = [series("1.1.1", [image("1.1.1.1", number=7)], number=3)]
    write_medium(tmp_path, [patient("Doe^Jane", "12", [study("1.1", several)])])

    with opened(tmp_path) as tree:
        told = [node.attributes for _, node in walk(tree.root)]
        of_root = tree.root.attributes

    levels = [Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE]
    assert of_root == {}
    assert [list(each) for each in told] == [levels[:n] for n in (1, 2, 3, 4)]
    assert told[-1][Level.PATIENT].text(tags.PATIENT_ID) == "12"
    assert told[-1][Level.STUDY].raw(tags.STUDY_INSTANCE_UID) == b"1.1"
    assert told[-1][Level.SERIES].number(tags.SERIES_NUMBER) == 3
    assert told[-1][Level.INSTANCE].number(tags.INSTANCE_NUMBER) == 7


def test_text_of_a_record_without_a_character_set_is_read_in_that_above(
    tmp_path: Path,
) -> None:
    lungs = series("1.1.1", [image("1.1.1.1", ContentLabel="\xd6".encode("latin-1"))])
    doe = patient(
        "Doe", "1", [study("1.1", [lungs])], SpecificCharacterSet="ISO_IR 100"
    )
    write_medium(tmp_path, [doe])

    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)

        own = file.attributes[Level.INSTANCE]

    assert own.character_sets == (b"ISO_IR 100",)


def test_a_record_that_cannot_be_read_any_more_says_nothing(tmp_path: Path) -> None:
    lungs = series("1.1.1", [image("1.1.1.1")])
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs])])])

    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)
        (tmp_path / "DICOMDIR").write_bytes(b"")

        assert file.attributes == {}


def test_the_children_of_a_fixed_folder_are_given() -> None:
    root = Fixed(1, "", None, 5)
    file = Rendered(2, "file", root, 5, lambda: b"")
    hidden = Fixed(3, "hidden", root, 5)
    root.entries["file"] = file
    root.hidden = {"hidden": hidden}
    folder: FolderNode = root

    assert folder.children() == folder.children_cached() == {"file": file}
    assert [folder.lookup(name) for name in ("file", "hidden", "none")] == [
        *(file, hidden, None)
    ]
    folder.forget()
    assert list(folder.children()) == ["file"]
    assert folder.is_same(root)
    assert not folder.is_same(hidden)
    assert hidden.attributes == {}


def test_a_rendered_file_has_the_bytes_of_the_moment() -> None:
    data = [b"first"]
    file: FileNode = Rendered(2, "file", Fixed(1, "", None, 5), 5, lambda: data[-1])

    before = file.open()
    data.append(b"and second")

    assert before.read_at(0, 99) == b"first"
    assert file.open().read_at(0, 99) == b"and second"
    assert file.size == 10
    assert file.open_cached() is None
    assert not file.is_fixed
    assert (file.error, file.reason, file.attributes) == (0, "", {})
    assert file.is_same(file)


def test_a_frozen_file_is_made_once_and_not_before_it_is_opened() -> None:
    made: list[bytes] = []

    def render() -> bytes:
        made.append(b"text")
        return made[0]

    root, content = Fixed(1, "", None, 5), Once(render)
    file: FileNode = Frozen(2, "file", root, 5, 4, content)
    again = Frozen(2, "file", root, 5, 4, content)

    assert (file.size, file.open_cached(), made) == (4, None, [])
    assert file.open().read_at(0, 99) == again.open().read_at(0, 99) == b"text"
    assert file.open_cached() is not None
    assert made == [b"text"]
    assert file.is_fixed
    assert file.is_same(again)
    assert not file.is_same(Frozen(2, "file", root, 5, 4, Once(render)))


def test_what_could_not_be_made_is_made_when_it_is_opened_again() -> None:
    errors = [OSError(5, "a bad sector")]

    def render() -> bytes:
        if errors:
            raise errors.pop()
        return b"text"

    file = Frozen(2, "file", Fixed(1, "", None, 5), 5, 4, Once(render))

    with pytest.raises(OSError, match="bad sector"):
        file.open()
    assert file.open().read_at(0, 99) == b"text"
