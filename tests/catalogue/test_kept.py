"""The catalogue of a mount as the text of a file."""

import csv
import errno
import io
from pathlib import Path

import pytest

from dicomfs.catalogue import kept
from dicomfs.catalogue.kept import Catalogue
from dicomfs.tree import own
from dicomfs.tree.node import FileNode
from dicomfs.tree.tree import Tree
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.trees import SAMPLES, opened


def file_of(tree: Tree) -> FileNode:
    """Return the file in the hidden folder of *tree*."""
    own.add_to(tree, {kept.NAME: Catalogue(tree)})
    file = tree.root.hidden[own.FOLDER]
    assert file.is_folder
    found = file.children()[kept.NAME]
    assert not found.is_folder
    return found


def test_it_is_beside_the_reports() -> None:
    with opened(SAMPLES) as tree:
        folder = file_of(tree).parent
        assert folder is not None
        names = list(folder.children())

    assert names == ["catalogue.csv", "report.json", "report.txt"]


def test_nothing_is_looked_into_before_it_is_opened() -> None:
    with opened(SAMPLES) as tree:
        file = file_of(tree)

        assert (file.size, file.is_fixed, tree.listed) == (0, False, 0)
        source = file.open()
        assert file.size == source.size > 0


def test_it_has_a_row_for_each_series() -> None:
    with opened(SAMPLES) as tree:
        source = file_of(tree).open()
        text = source.read_at(0, source.size).decode()

    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == 13
    assert sum(int(row["NumberOfSeriesRelatedInstances"]) for row in table) == 31


def test_it_is_made_once_as_long_as_nothing_changes() -> None:
    with opened(SAMPLES) as tree:
        file = file_of(tree)
        first = file.open()
        before = tree.listed
        second = file.open()

        assert tree.listed == before
        assert first.read_at(0, first.size) == second.read_at(0, second.size)


def test_one_that_is_too_long_is_refused(tmp_path: Path) -> None:
    lungs = series("1.1.1", [image("1.1.1.1")])
    write_medium(tmp_path, [patient("Doe", "1", [study("1.1", [lungs])])])

    with opened(tmp_path) as tree, pytest.raises(OSError, match="too long") as refused:
        Catalogue(tree, most=100)()

    assert refused.value.errno == errno.EFBIG
