"""Whether what people see of a file tells it from those of all other media."""

from pathlib import Path

import pytest

from dicomfs.tree.selection import Selection
from dicomfs.tree.whose import says_who_and_when
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.trees import opened, walk


def tells(folder: Path, name: str, id_: str, date: str = "20230705") -> bool:
    """Return whether the path of a series of this patient and study says whose it is."""
    lungs = series("1.2.3", [image("1.2.3.1")])
    write_medium(folder, [patient(name, id_, [study("1.2", [lungs], date=date)])])
    with opened(folder) as tree:
        *_, found = [node for _, node in walk(tree.root) if isinstance(node, Selection)]
        return says_who_and_when(found)


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        *(("Doe^Jane", "1"), ("Doe^Jane", ""), ("", "12345"), ("Anonymous", "4711")),
        *(("", "P0012345"), ("Anonymous", "XK-7"), ("Ng^Li", "1")),
    ],
)
def test_a_name_or_an_id_of_its_own_says_whose_it_is(
    tmp_path: Path, name: str, id_: str
) -> None:
    assert tells(tmp_path, name, id_)


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        *(
            ("", ""),
            ("Anonymous", "1"),
            ("Anonymous", "ANON001"),
            ("Anonymous1", "001"),
        ),
        *(("anon_12", ""), ("Patient 1", "0"), ("Removed", "P1"), ("Pseudonym", "12")),
        ("", "sub-01"),
    ],
)
def test_what_many_discs_have_says_nothing(tmp_path: Path, name: str, id_: str) -> None:
    assert not tells(tmp_path, name, id_)


@pytest.mark.parametrize("date", ["", "19000101", "19700101"])
def test_a_date_that_stands_for_none_says_nothing(tmp_path: Path, date: str) -> None:
    assert not tells(tmp_path, "Doe^Jane", "12345", date)
