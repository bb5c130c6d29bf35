"""A series listed as a whole, against what comes of its records one by one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Final

import pytest

from dicomfs.errors import Failure
from dicomfs.findings import Finding
from dicomfs.media.medium import Medium
from dicomfs.tree.node import Node
from dicomfs.tree.selection import Instance
from dicomfs.tree.series import Series
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    OMIT,
    Options,
    Record,
    Value,
    build_dicomdir,
    icon,
    image,
    leaf,
    patient,
    series,
    study,
)
from tests.build.mutations import mutated
from tests.dicomdir.test_models import encodings
from tests.support.amounts import part_of
from tests.support.trees import FakeMedium, opened, walk

# What may be odd about one image of many.
_ODD: Final[dict[str, dict[str, Value]]] = {
    "": {},
    "another number": {"number": 7},
    "no number": {"number": OMIT},
    "a negative number": {"number": -4},
    "a large number": {"number": 123456},
    "a number of a kind": {"number": "7.0"},
    "no number at all": {"number": "seven"},
    "an icon": {"IconImageSequence": icon(2)},
    "no longer in use": {"in_use": 0},
    "a UID twice": {"ReferencedSOPInstanceUIDInFile": "1.1.3"},
    "no UID": {"ReferencedSOPInstanceUIDInFile": OMIT},
    "another class": {"ReferencedSOPClassUIDInFile": "1.2.840.10008.5.1.4.1.1.66"},
    "another type": {"DirectoryRecordType": "SR DOCUMENT"},
    "something below": {"lower": 400},
    "a text": {"ImageComments": "Thorax"},
    "no file": {"file": OMIT},
    "another's file": {"file": "S/I3"},
    "another folder": {"file": "T/I1"},
    "a path that leads out": {"file": "S/../../I1"},
    "the DICOMDIR itself": {"file": "DICOMDIR"},
    "the name in small letters": {"file": "S/i9"},
}


def random_series(random: Random) -> tuple[list[Record], dict[str, bytes]]:
    """Return records of a series, and its files; some are odd or missing."""
    count = random.choice([1, 3, 40])
    odd = random.choice(list(_ODD.values()))
    images: list[Record] = []
    files: dict[str, bytes] = {"T/I1": b"other", "S/I9": b"nine"}
    for number in range(1, count + 1):
        more: dict[str, Value] = {"number": number, "file": f"S/I{number}"}
        if random.random() < 0.1:
            more |= odd
        images.append(image(f"1.1.{number}", (), **more))
        files[f"S/I{number}"] = b"x" * number
    if random.random() < 0.3:
        gone = f"S/I{random.randint(1, count)}"
        files[gone] = b""
        if random.random() < 0.5:
            del files[gone]
    if random.random() < 0.1:
        images.append(leaf("PRESENTATION", "1.9", number=3, file="S/P1"))
    return images, files


@contextmanager
def record_by_record() -> Iterator[None]:
    """Let nothing be listed as a whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Series, "of", lambda _: None)
        yield


def described(node: Node) -> tuple[object, ...]:
    """Return all that is shown of a *node*, and what it needs to be opened."""
    common = node.is_folder, node.inode, node.mtime_ns
    if not isinstance(node, Instance):
        return common
    file = node.place, node.size, node.changed_ns, node.uid, node.offset
    return *common, *file, node.error, node.reason, node.is_known, node.copies


def shown(tree: Tree) -> tuple[list[tuple[object, ...]], set[Finding]]:
    """Return all nodes of *tree* in their order, and what is said of them."""
    nodes = [(path, *described(node)) for path, node in walk(tree.root)]
    return nodes, set(tree.findings.all())


def hold(*media: Medium) -> None:
    """See that both ways show the same of *media*, as long as they show anything."""
    try:
        with opened(*media) as tree:
            found = shown(tree)
    except Failure:
        return
    with record_by_record(), opened(*media) as tree:
        assert shown(tree) == found


@pytest.fixture(autouse=True)
def may_warn(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let warnings pass: what is broken is said to be."""
    yield
    caplog.get_records("call").clear()


@pytest.mark.slow
@pytest.mark.counted
@encodings
def test_a_series_is_shown_as_record_by_record(
    syntax: object, options: Options
) -> None:
    del syntax
    random = Random(7)
    for _ in range(part_of(100, fewest=8)):
        images, files = random_series(random)
        records = [patient("A", "1", [study("1", [series("1.1", images)])])]
        if random.random() < 0.3:
            options = {**options, "record_order": reversed}
        dicomdir = build_dicomdir(records, **options)
        hold(FakeMedium(files | {"DICOMDIR": dicomdir}))


@pytest.mark.slow
@pytest.mark.counted
def test_broken_media_are_shown_as_record_by_record() -> None:
    for number in range(part_of(400, fewest=20)):
        medium = mutated(12, number)
        hold(FakeMedium(medium.files | {"DICOMDIR": medium.dicomdir}))


def test_a_sound_series_is_listed_as_a_whole() -> None:
    images = [
        image(f"1.1.{number}", number=number, file=f"S/I{number}")
        for number in range(1, 30)
    ]
    files = {f"S/I{number}": b"x" for number in range(1, 30)}
    records = [patient("A", "1", [study("1", [series("1.1", images)])])]
    medium = FakeMedium(files | {"DICOMDIR": build_dicomdir(records)})

    whole: list[object] = []
    with pytest.MonkeyPatch.context() as patch, opened(medium) as tree:
        listing = Series.listing
        patch.setattr(Series, "listing", lambda each: whole.append(listing(each)))
        nodes, _ = shown(tree)

    assert len(whole) == 1
    assert isinstance(whole[0], Mapping)
    assert list(whole[0]) == [f"{number:04}.dcm" for number in range(1, 30)]
    assert len(nodes) == 3 + 29
