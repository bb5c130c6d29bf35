"""A DICOMDIR with bad sectors: each costs what is in it, and no instance that is there."""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dicomfs.check.check import check
from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure
from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.findings import Kind
from dicomfs.tree.node import FolderNode, Node
from dicomfs.tree.selection import Instance
from dicomfs.tree.tree import Tree
from tests.build.medium import (
    OMIT,
    Options,
    Record,
    Value,
    breadth_first,
    depth_first,
    icon,
    image,
    patient,
    series,
    study,
    write_medium,
)
from tests.support.amounts import tries_all
from tests.support.hanging import drive
from tests.support.mounting import Mount, Mounter
from tests.support.worn import SECTOR, Bad, WornMedium, files_of

# Patients, studies of each, series of each, and images of each: 160 instances.
Shape = tuple[int, int, int, int]
USUAL: Final = (4, 2, 2, 10)
# In which a DICOMDIR of a mount is unreadable, one after the other.
PLACES: Final = 12
# Places that are tried where all of them take long.
FEW: Final = 20


def disc(
    shape: Shape = USUAL,
    file: Callable[[int, int, int, int], str] = "DICOM/P{:03}/S{}/R{}/I{:05}".format,
    *,
    icons: bool = False,
) -> list[Record]:
    """Return the patients of a medium."""
    patients, studies, many, images = shape
    small = icon(32) if icons else OMIT

    def images_of(p: int, s: int, r: int) -> Iterator[Record]:
        for n in range(1, images + 1):
            uid = f"1.2.826.0.1.3680043.8.{p}.{s}.{r}.{n}"
            where = file(p, s, r, n)
            yield image(uid, number=n, file=where, IconImageSequence=small)

    def series_of(p: int, s: int) -> Iterator[Record]:
        for r in range(many):
            below = images_of(p, s, r)
            uid = f"1.2.{p}.{s}.{r}.1"
            yield series(uid, below, number=r + 1, description=f"Series {r}")

    def studies_of(p: int) -> Iterator[Record]:
        for s in range(studies):
            day = f"202307{s + 1:02}"
            uid = f"1.2.{p}.{s}.2"
            yield study(uid, series_of(p, s), date=day, description=f"Study {s}")

    return [patient(f"Doe{p}^Jane", f"ID{p}", studies_of(p)) for p in range(patients)]


class Variant(NamedTuple):
    """A medium, and how its DICOMDIR is written."""

    make: Callable[[], list[Record]]
    options: Options = Options()


UNDEFINED: Final = Options(undefined_items=True, undefined_sequences=True)
VARIANTS: Final = {
    "plain": Variant(disc),
    "with icons": Variant(lambda: disc((4, 2, 2, 3), icons=True)),
    "of undefined lengths": Variant(disc, UNDEFINED),
    "breadth first": Variant(disc, Options(record_order=breadth_first)),
    "implicit VR": Variant(disc, Options(explicit=False)),
    "big endian": Variant(disc, Options(little_endian=False)),
    "one image a series": Variant(lambda: disc((8, 4, 5, 1))),
    "one patient": Variant(lambda: disc((1, 1, 4, 40))),
    "all files in one folder": Variant(
        lambda: disc(USUAL, lambda p, s, r, n: f"IMAGES/I{p}{s}{r}{n:05}")
    ),
    "each file in its own folder": Variant(
        lambda: disc(USUAL, lambda p, s, r, n: f"F{p}{s}{r}{n:05}/IMAGE")
    ),
    "all files in the root": Variant(
        lambda: disc(USUAL, lambda p, s, r, n: f"I{p}{s}{r}{n:04}")
    ),
}


class Seen(NamedTuple):
    """What a walk finds: files by where they are shown, and folders that fail."""

    files: dict[str, bytes]
    failed: list[str]

    @property
    def places(self) -> set[bytes]:
        """Where the files lie on the medium."""
        return set(self.files.values())


def walk(tree: Tree) -> Seen:
    """Walk as a program does that does not give up at an error."""
    seen = Seen({}, [])
    waiting: list[tuple[str, FolderNode]] = [("", tree.root)]
    while waiting:
        path, folder = waiting.pop()
        try:
            nodes: Iterable[tuple[str, Node]] = folder.children().items()
        except OSError:
            seen.failed.append(path)
            continue
        for name, node in nodes:
            if node.is_folder:
                waiting.append((f"{path}/{name}", node))
            elif isinstance(node, Instance) and not node.error:
                seen.files[f"{path}/{name}"] = b"/".join(node.place)
    return seen


def opened(medium: WornMedium) -> Tree:
    return Tree(open_file_sets(medium), read_headers=True)


def look(medium: WornMedium) -> tuple[Seen, Seen, set[Kind]]:
    """Return what a walk finds at once, and once all links were checked; and what is said."""
    tree = opened(medium)
    at_once = walk(tree)
    tree.check_links()
    tree.listings.refresh()
    return at_once, walk(tree), {each.kind for each in tree.findings.all()}


def sectors(size: int, step: int = SECTOR, length: int = SECTOR) -> list[Bad]:
    """Return one bad range for each *step* in *size* bytes."""
    return [[(at, at + length)] for at in range(0, size, step)]


# Of how many sectors one is tried.
EACH: Final = 1 if tries_all() else 3


@pytest.fixture
def may_warn(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let anything be logged: that is not what is asked here."""
    yield
    caplog.get_records("call").clear()


def assert_nothing_is_lost(medium: WornMedium, places: Sequence[Bad]) -> None:
    medium.bad = ()
    sound = walk(opened(medium))
    for bad in places:
        medium.bad = bad
        at_once, later, kinds = look(medium)

        assert at_once == sound, medium.bad
        assert later == sound, medium.bad
        # Zeros in the middle of an icon are the icon's.
        assert Kind.INDEX_UNREADABLE in kinds or medium.as_zeros


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("name", VARIANTS)
def test_an_unreadable_sector_loses_and_renames_nothing_wherever_it_is(
    name: str,
) -> None:
    make, options = VARIANTS[name]
    medium = WornMedium(files_of(make(), **options))

    assert_nothing_is_lost(medium, sectors(len(medium.dicomdir))[::EACH])


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("name", VARIANTS)
def test_zeros_in_place_of_a_sector_lose_and_rename_nothing(name: str) -> None:
    make, options = VARIANTS[name]
    medium = WornMedium(files_of(make(), **options), as_zeros=True)

    assert_nothing_is_lost(medium, sectors(len(medium.dicomdir))[::EACH])


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("length", [512, SECTOR, 2 * SECTOR])
def test_sectors_that_are_not_those_of_the_file_lose_nothing(length: int) -> None:
    medium = WornMedium(files_of(disc((8, 2, 2, 5))))
    places = sectors(len(medium.dicomdir), 200, length)

    random.Random(length).shuffle(places)
    assert_nothing_is_lost(medium, places if tries_all() else places[:FEW])


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
@pytest.mark.parametrize("count", [2, 3, 6])
def test_several_unreadable_sectors_lose_nothing(count: int) -> None:
    medium = WornMedium(files_of(disc()))
    numbers = random.Random(count)
    all_of_them = [bad for [bad] in sectors(len(medium.dicomdir))]

    sound = walk(opened(medium))
    for _ in range(FEW):
        medium.bad = numbers.sample(all_of_them, count)
        at_once, later, _ = look(medium)

        assert at_once.places == later.places == sound.places, medium.bad
        # A series may lose its patient to the one, and its instances to the other.
        astray = later.files.items() - sound.files.items()
        assert all(path.startswith("/Unlinked/") for path, _ in astray), medium.bad


@pytest.mark.usefixtures("may_warn")
def test_check_counts_what_was_found_among_what_is_listed() -> None:
    medium = WornMedium(files_of(disc()), [(SECTOR, 2 * SECTOR)])

    report = check(open_file_sets(medium))

    kinds = {finding.kind for finding in report.findings}
    assert Kind.LOST_RECORDS in kinds
    assert Kind.UNLISTED_INSTANCE not in kinds


# -- where headers do not help ---------------------------------------------------------


def silent() -> list[Record]:
    """Return a medium whose headers do not say where their instances belong."""
    keys = ("PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID")
    return told(disc(), **dict.fromkeys(keys, OMIT))


def told(roots: list[Record], **header: Value) -> list[Record]:
    """Let all headers say this."""
    for each in depth_first(roots):
        if each.record_type == "IMAGE":
            each.say(**header)
    return roots


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
def test_what_nobody_can_find_is_counted_and_the_rest_is_shown() -> None:
    medium = WornMedium(files_of(silent()))
    sound = walk(opened(medium))
    for bad in sectors(len(medium.dicomdir)):
        medium.bad = bad
        tree = opened(medium)
        tree.check_links()
        seen = walk(tree)

        # What is not shown was in the sector: a record has 100 bytes and more.
        lost = sound.places - seen.places
        said = sum(f.count for f in tree.findings.all() if f.kind is Kind.LOST_RECORDS)
        astray = {
            path
            for path, place in seen.files.items()
            if sound.files.get(path) != place and not path.startswith("/Unlinked/")
        }
        assert seen.failed == []
        assert len(lost) <= SECTOR // 100
        assert said or not lost
        # Without a record and without a header nobody knows the patient.
        assert all(path.startswith("/Unknown patient") for path in astray)


@pytest.mark.slow
@pytest.mark.usefixtures("may_warn")
def test_a_header_of_another_patient_puts_nothing_under_this_one() -> None:
    medium = WornMedium(files_of(told(disc(), PatientName="Roe^Jack", PatientID="9")))
    sound = walk(opened(medium))
    for bad in sectors(len(medium.dicomdir)):
        medium.bad = bad
        _, seen, _ = look(medium)

        for path, place in seen.files.items():
            top = path.split("/")[1]
            assert top in {"Roe, Jack (9)", "Unlinked"} or sound.files[path] == place


@pytest.mark.usefixtures("may_warn")
def test_files_that_were_never_listed_are_not_shown_for_lost_ones() -> None:
    files = files_of(disc((2, 1, 1, 20)))
    strays = {
        # Of a series that is whole, and of nobody on this disc.
        "DICOM/P001/S0/R0/STRAY": files["DICOM/P001/S0/R0/I00001"],
        "DICOM/P000/S0/R0/FOREIGN": files_of(disc((5, 1, 1, 1)))[
            "DICOM/P004/S0/R0/I00001"
        ],
        "DICOM/P000/S0/R0/README": b"not in DICOM format",
    }
    medium = WornMedium(files | strays, [(SECTOR, 2 * SECTOR)])

    at_once, later, _ = look(medium)

    assert at_once == later
    assert at_once.places == {name.encode() for name in files} - {b"DICOMDIR"}


@pytest.mark.usefixtures("may_warn")
def test_a_file_under_another_name_is_not_shown_once_more_for_a_lost_one() -> None:
    files = files_of(disc((1, 1, 1, 20)))
    renamed = "DICOM/P000/S0/R0/I00020"
    files[f"{renamed} (1)"] = files.pop(renamed)
    medium = WornMedium(files, [(SECTOR, 2 * SECTOR)])

    at_once, later, _ = look(medium)

    assert at_once == later
    assert len(at_once.files) == len(at_once.places) <= 20


# -- the first sector ------------------------------------------------------------------


@pytest.mark.usefixtures("may_warn")
def test_a_record_that_is_left_is_enough_to_mount() -> None:
    files = files_of(disc((1, 1, 1, 20)))
    last = len(files["DICOMDIR"]) // SECTOR * SECTOR
    medium = WornMedium(files, [(0, last)])

    at_once, later, _ = look(medium)

    assert at_once == later
    assert len(at_once.files) == 20


@pytest.mark.parametrize("records", [0, 8])
def test_a_dicomdir_of_which_nothing_is_left_is_refused_and_scan_is_named(
    records: int,
) -> None:
    files = files_of(disc((1, 1, 1, records)))
    medium = WornMedium(files, [(0, len(files["DICOMDIR"]))])

    with pytest.raises(Failure) as caught:
        open_file_sets(medium)

    assert "--scan" in complaint(caught.value).mend


# -- a mount ---------------------------------------------------------------------------


@pytest.mark.mount
@pytest.mark.late
def test_a_mount_from_a_worn_drive_shows_all_at_once_and_later(
    tmp_path: Path, mount: Mounter
) -> None:
    folder = tmp_path / "medium"
    write_medium(folder, disc())
    size = (folder / "DICOMDIR").stat().st_size
    with drive(folder, tmp_path / "drive") as made:
        healthy = mount(made.place)
        sound = shown(healthy)
        healthy.unmount()
        for number in range(PLACES):
            first = number * size // SECTOR // PLACES
            made.tell(bad={"DICOMDIR": [(first, first + 1)]})
            made.forget()
            worn = mount(made.place)
            worn.expect_log("")

            assert shown(worn) == sound, first
            assert shown(worn) == sound, first
            worn.unmount()


def shown(mounted: Mount) -> dict[str, bytes]:
    """Return all files of a mount by their paths; an error of a folder is raised."""
    found = {}
    for path, folders, names in os.walk(mounted.place, onerror=raised):
        # What belongs nowhere is looked for while the root is listed already.
        assert folders or names or Path(path).name == "Unlinked"
        for name in names:
            file = Path(path, name)
            found[str(file.relative_to(mounted.place))] = file.read_bytes()
    return found


def raised(error: OSError) -> None:
    raise error
