"""The breakage catalogue: each broken medium is shown as whole as it can be."""

import contextlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dicomfs.check.check import check
from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.findings import Kind
from dicomfs.media.folder import FolderMedium as FolderMedium
from dicomfs.tree.selection import Instance
from scripts.catalogue import readers
from scripts.catalogue.readers import Reader, Reading
from scripts.catalogue.table import Outcome, outcome
from tests.build.breakage import (
    CASES,
    ELSEWHERE,
    ENTRIES,
    Broken,
    Case,
    Fate,
    Medium,
    Names,
    is_unlinked,
)
from tests.build.medium import Record
from tests.support import mounting
from tests.support.mounting import Mount, Mounter
from tests.support.trees import opened, walk

# Patient ID, Study and Series Instance UID: what those in one folder have in common.
IDENTITY: Final = (b"\x10\0\x20\0LO", b"\x20\0\x0d\0UI", b"\x20\0\x0e\0UI")

SHOWN: Final = [case for case in CASES.values() if not case.broken().failure]
FAILING: Final = [case for case in CASES.values() if case.broken().failure]

# Where the index is damaged, some of these come together.
DAMAGE: Final = frozenset(
    {
        Kind.WRONG_ROOT,
        Kind.BROKEN_LINK,
        Kind.WRONG_LEVEL,
        Kind.LINKS_SHIFTED,
        Kind.LINKS_DRIFTED,
        Kind.LINKS_UNUSABLE,
        Kind.LOOP,
        Kind.SECOND_PARENT,
        Kind.TOO_DEEP,
        Kind.ADOPTED,
        Kind.UNLINKED,
        Kind.DAMAGED_RECORD,
        Kind.INDEX_CUT_OFF,
        Kind.INDEX_UNREADABLE,
        Kind.LOST_RECORDS,
        Kind.UNLISTED_INSTANCE,
    }
)


# What takes reading of files or a look at everything: that is for ``check``.
BY_CHECK: Final = frozenset(
    {
        Kind.NOT_DICOM,
        Kind.MISSING_KEY,
        Kind.MISSING_DESCRIPTION,
        Kind.CHARACTER_SET,
        Kind.UNKNOWN_CHARACTER_SET,
        Kind.RUBBISH,
        Kind.MALFORMED_DATE,
        Kind.MALFORMED_NUMBER,
        Kind.MALFORMED_FILE,
        Kind.NOT_UNDERSTOOD,
        Kind.SPLIT_STUDY,
        Kind.UID_DISAGREES,
        Kind.PATIENT_DISAGREES,
        Kind.UNLISTED_INSTANCE,
        Kind.UNLISTED_FILE,
        Kind.EXECUTABLE_PREAMBLE,
    }
)


class Found(NamedTuple):
    """What a tree shows of a medium, in the end."""

    # The folders where each instance is, by its bytes.
    folders: dict[bytes, list[Names]]
    errors: list[tuple[Names, int]]
    kinds: set[Kind]


def look(root: Path) -> Found:
    """Look at all that the medium in *root* shows when its links were gone through."""
    folders = defaultdict(list)
    errors = []
    with opened(root) as tree:
        tree.check_links()
        for path, node in walk(tree.root):
            if isinstance(node, Instance):
                folder = tuple(path.split("/")[:-1])
                if node.error:
                    errors.append((folder, node.error))
                else:
                    folders[_content(node)].append(folder)
        kinds = {each.kind for each in tree.findings.all()}
        return Found(dict(folders), errors, kinds)


def _content(file: Instance) -> bytes:
    source = file.open()
    try:
        return source.read_at(0, source.size)
    finally:
        source.close()


def astray(medium: Medium, found: Found) -> list[Names]:
    """Return where there are instances that do not belong there."""
    allowed = defaultdict(list)
    for each in medium.instances:
        if each.fate is not Fate.LOST:
            allowed[each.data].append(each)
    return [
        folder
        for data, folders in found.folders.items()
        for folder in folders
        if not is_unlinked(folder)
        and not any(each.belongs_in(folder) for each in allowed[data])
    ]


def mixed(medium: Medium, found: Found) -> list[Names]:
    """Return the folders whose instances say that they belong to different ones."""
    silent = {each.data for each in medium.instances if not each.speaks}
    said = defaultdict(set)
    for data, folders in found.folders.items():
        if data in silent:
            continue
        identity = [_value(data, element) for element in IDENTITY]
        for folder in folders:
            if not is_unlinked(folder):
                for depth in range(1, min(len(folder), len(IDENTITY)) + 1):
                    said[folder[:depth]].add(tuple(identity[:depth]))
    return [folder for folder, identities in said.items() if len(identities) > 1]


def _value(data: bytes, element: bytes) -> bytes:
    """Return a value in a header, as it is written."""
    _, found, behind = data.partition(element)
    size = int.from_bytes(behind[:2], "little")
    return behind[2 : 2 + size] if found else b""


def unexpected(kinds: Iterable[Kind], expected: Iterable[Kind]) -> set[Kind]:
    """Return the faults among *kinds* that *expected* ones do not bring with them."""
    expected = set(expected)
    if expected & DAMAGE:
        expected |= DAMAGE
    return {kind for kind in kinds if kind.is_fault} - expected


@pytest.fixture
def may_warn(case: Case, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let something be logged where something is wrong, and nothing else."""
    yield
    if case in FAILING or any(kind.is_fault for kind in case.kinds):
        caplog.get_records("call").clear()


def name(case: Case) -> str:
    return case.name


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("case", SHOWN, ids=name)
def test_each_instance_of_a_broken_medium_is_where_it_belongs(
    case: Case, tmp_path: Path
) -> None:
    medium = case.write(tmp_path)
    kinds = set(medium.broken.kinds) - BY_CHECK

    found = look(tmp_path)

    wrong = [
        (each.fate, each.folder, folders)
        for each in medium.instances
        if not each.is_right_in(folders := found.folders.get(each.data, []))
    ]
    assert wrong == []
    assert astray(medium, found) == []
    assert mixed(medium, found) == []
    assert Counter(found.errors) == Counter(medium.errors)
    assert kinds - found.kinds == set()
    assert unexpected(found.kinds, set(medium.broken.kinds)) == set()


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("case", SHOWN, ids=name)
def test_check_says_what_is_broken_and_nothing_else(case: Case, tmp_path: Path) -> None:
    expected = set(case.write(tmp_path).broken.kinds)
    medium = FolderMedium(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))

    with contextlib.closing(medium):
        report = check(open_file_sets(medium))

    found = {finding.kind for finding in report.findings}
    assert report.failure == ""
    assert expected - found == set()
    assert unexpected(found, expected) == set()


def rewired(seed: int) -> Case:
    """Return a medium some of whose links lead anywhere."""

    def make(it: Broken) -> None:
        numbers = random.Random(seed)
        targets: list[Record | int] = [*it.records, 0, 77, 0x7FFFFFFF]
        for each in numbers.sample(it.records, numbers.choice((1, 2, 3, 5))):
            setattr(each, numbers.choice(("next", "lower")), numbers.choice(targets))
        it.either = it.roots

    return Case(f"rewired-{seed}", (7, 8, 9), (Kind.BROKEN_LINK,), make)


@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("case", [rewired(seed) for seed in range(100)], ids=name)
def test_links_that_lead_anywhere_lose_nothing_and_mix_no_patients(
    case: Case, tmp_path: Path
) -> None:
    medium = case.write(tmp_path)

    found = look(tmp_path)

    lost = [
        each.path.name for each in medium.instances if not found.folders.get(each.data)
    ]
    strange = [
        folder
        for each in medium.instances
        for folder in found.folders.get(each.data, [])
        if folder[0] != each.folder[0] and not is_unlinked(folder)
    ]
    assert lost == []
    assert strange == []


@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("case", FAILING, ids=name)
def test_a_dicomdir_of_no_use_is_said_to_be_what_it_is(
    case: Case, tmp_path: Path
) -> None:
    broken = case.write(tmp_path).broken

    with pytest.raises(Failure) as caught, opened(tmp_path):
        pass

    assert caught.value.problem is broken.failure
    told = complaint(caught.value)
    assert broken.says in told.what
    # Scanning is of no use where the instances are encrypted or wrapped like the index.
    assert ("--scan" in told.mend) == ("CMS" not in told.what)


def test_an_instance_in_a_wrong_folder_would_be_noticed(tmp_path: Path) -> None:
    medium = CASES["sound"].write(tmp_path)
    one, *_, other = medium.instances
    found = look(tmp_path)
    assert astray(medium, found) == mixed(medium, found) == []

    found.folders[one.data] = [other.folder]

    assert not one.is_right_in(found.folders[one.data])
    assert astray(medium, found) == [other.folder]
    assert other.folder in mixed(medium, found)


def test_each_entry_of_the_catalogue_has_a_case() -> None:
    covered = {entry for case in CASES.values() for entry in case.entries}

    assert covered == ENTRIES.keys() - ELSEWHERE


# -- mounts ----------------------------------------------------------------------------

MOUNTED: Final = (
    "drifted",
    "all-links-zero",
    "all-links-zero-and-headers-unreadable",
    "chain-of-patients-ends-early",
    "chain-of-series-ends-early-and-headers-unreadable",
    "two-series-share-their-images",
    "first-offset-of-the-second-patient",
    "chain-of-images-leads-behind-the-end-and-headers-unreadable",
    "loop-of-images-in-front-of-the-last",
    "study-of-another-patient-behind",
    "1500-levels",
    "file-id-upwards",
    "garbage-behind-the-series-of-undefined-length",
    "cut-off-in-a-study",
)


def read_mount(mounted: Mount) -> dict[bytes, list[Names]]:
    """Return the folders where each instance is, by its bytes."""
    folders = defaultdict(list)
    for path in mounted.files():
        with contextlib.suppress(PermissionError):
            folder = path.relative_to(mounted.place).parts[:-1]
            folders[path.read_bytes()].append(folder)
    return folders


@pytest.mark.mount
@pytest.mark.parametrize("name", MOUNTED)
def test_a_mount_shows_all_of_it_at_the_first_look_and_reports_it(
    name: str, tmp_path: Path, mount: Mounter
) -> None:
    root = tmp_path / "medium"
    root.mkdir()
    medium = CASES[name].write(root)
    kinds = set(medium.broken.kinds) - BY_CHECK
    mounted = mount(root)
    if name != "file-id-upwards":  # the others are about the index as a whole
        mounted.expect_log(".")

    found = read_mount(mounted)
    wrong = [
        (each.folder, folders)
        for each in medium.instances
        if not each.is_right_in(folders := found.get(each.data, []))
    ]

    def is_reported() -> bool:
        text = (mounted.place / ".dicomfs/report.txt").read_text(encoding="utf-8")
        return all(f"[{kind.code}]" in text for kind in kinds)

    assert wrong == []
    assert mounting.until(is_reported)
    assert read_mount(mounted) == found


# -- the table beside other readers ------------------------------------------------------


def hang(_root: Path, _dicomdir: Path) -> Reading:
    while True:
        pass


def crash(_root: Path, _dicomdir: Path) -> Reading:
    os._exit(0)


def fail(_root: Path, _dicomdir: Path) -> Reading:
    raise RecursionError


@pytest.mark.parametrize(
    ("reader", "limit", "failure"),
    [
        (hang, 0.1, "hangs"),
        (crash, mounting.PATIENCE, "crashes"),
        (fail, mounting.PATIENCE, "RecursionError"),
    ],
    ids=["hangs", "crashes", "fails"],
)
def test_a_reader_that_ends_badly_is_said_to(
    reader: Reader, limit: float, failure: str, tmp_path: Path
) -> None:
    made = readers.read(reader, tmp_path, tmp_path, limit)

    assert made == Reading([], failure)


def seen_by(reader: Reader, root: Path, name: str) -> Outcome:
    """Return what *reader* makes of the case called *name*."""
    medium = CASES[name].write(root)
    reading = readers.read(reader, root, root / "DICOMDIR", mounting.PATIENCE)
    return outcome(medium, reading, names_folders=reader is readers.dicomfs)


@pytest.mark.parametrize(
    ("name", "by_dicomfs", "by_pydicom"),
    [
        ("sound", Outcome(10, 0, 0, ""), Outcome(10, 0, 0, "")),
        ("inactive-series", Outcome(7, 0, 0, ""), Outcome(7, 0, 3, "")),
        # The last parent has them.
        (
            "two-series-share-their-images",
            Outcome(10, 0, 0, ""),
            Outcome(8, 3, 0, ""),
        ),
        (
            "dicomdir-is-empty",
            Outcome(0, 0, 0, "exit code 13"),
            Outcome(0, 0, 0, "InvalidDicomError"),
        ),
    ],
)
def test_the_table_counts_what_is_found_and_what_is_misplaced(
    name: str, by_dicomfs: Outcome, by_pydicom: Outcome, tmp_path: Path
) -> None:
    assert seen_by(readers.dicomfs, tmp_path, name) == by_dicomfs
    assert seen_by(readers.pydicom, tmp_path, name) == by_pydicom
